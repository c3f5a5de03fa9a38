"""Networks as torch modules: architectures, traced networks, bottoms and tops, frozen copies, scores."""
