"""What a store holds beside the curves of the paper (`sweeper audit`)."""
