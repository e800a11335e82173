from chain_world import empty_devnet, world

__all__ = ["empty_devnet", "world"]
