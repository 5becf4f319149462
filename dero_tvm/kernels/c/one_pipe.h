/*
 * Comes before the kernels of cores that issue one instruction at a time, such as Cortex-M4, which
 * a compiler does not tell from Cortex-M7.
 */
#pragma once
#define DSP_ONE_PIPE 1
