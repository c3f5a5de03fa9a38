"""Networks as torch modules: architectures, traced networks, halves, frozen copies, their scores."""
