"""What each operator means to the phases of the compiler: one file a family of operators.

Importing a file registers its rules with the phases; `registry` imports all that there are.
"""
