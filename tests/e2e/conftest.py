from demo_world import aside, world

__all__ = ["aside", "world"]
