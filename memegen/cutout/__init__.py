"""Cut-outs: people or heads without what is behind them.

An engine of another package says roughly where people are (engines), closed-form matting finds the
edge and its colours (matte), landmarks say where a head ends (head), and all of it makes a photo
transparent (cut). Done once a photo: what its frames move, moves transparency and all.
"""
