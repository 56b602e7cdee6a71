"""The mill: claims a stage, keeps its lease, computes, keeps what it made, delivers it, and moves on."""
