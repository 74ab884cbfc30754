"""Code of the grader that runs in the box. It imports only the standard library, Jupyter, NumPy and safetensors."""
