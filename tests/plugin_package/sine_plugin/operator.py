"""``dero.sine``, and when ``relax.sin`` is selected to be one."""

from tvm.script import tirx as T

from relax_passes.canonicalization.select_operators import SELECTION, check_float32
from relax_passes.operators import OperatorClass, TensorSpec, register, script
from relax_passes.operators.pixel_loop import PixelLoop
from relax_passes.operators.row_to_row import RowToRow


@register
class Sine(RowToRow):
    """The sine of each float32 element."""

    name = "sine"
    memory_class = OperatorClass.ELEMENTWISE

    def infer(self, inputs, attrs):
        return TensorSpec(inputs[0].shape, inputs[0].dtype)

    def row_kernel(self, signature):
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)

        @script.row_kernel(signature)
        def sine_row(row, X, data_rows, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    O[g.out_index(p, c)] = T.sin(X[g.data_index(row, data_rows, p, c)])

        return sine_row


@SELECTION.register("relax.sin")
def _sine(rewriter, var, call):
    check_float32(call)
    return rewriter.dero("sine", [rewriter.new(call.args[0])])
