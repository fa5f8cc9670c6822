"""Studies for other people's tools: TensorBoard's event files, and runs in MLflow."""

from neurona.tracking.mlflow import Logged, check_mlflow, log_to_mlflow
from neurona.tracking.tensorboard import check_tensorboard, write_tensorboard

__all__ = ["Logged", "check_mlflow", "check_tensorboard", "log_to_mlflow", "write_tensorboard"]
