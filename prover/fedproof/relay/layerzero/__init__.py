"""LayerZero V2: its contracts on the devnet, the configuration of our two ends, and an emulated worker."""
