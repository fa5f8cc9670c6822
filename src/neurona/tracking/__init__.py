"""Studies for other people's tools: TensorBoard's event files, and runs in MLflow."""

from neurona.tracking.tensorboard import check_tensorboard, write_tensorboard

__all__ = ["check_tensorboard", "write_tensorboard"]
