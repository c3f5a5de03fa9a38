"""External networks (torchvision, timm, user code): built by name, traced and split at cuts."""
