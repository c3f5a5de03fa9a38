"""Networks from elsewhere (torchvision, timm, a user's own code): loaded by name, traced, cut."""
