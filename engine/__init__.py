"""samscope: promptable segmentation models measured on whole collections of medical images."""

__version__ = "0.1.0"
