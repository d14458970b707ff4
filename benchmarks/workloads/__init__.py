"""What is measured: one function a workload, each of which returns its figures."""
