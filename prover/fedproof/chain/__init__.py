"""Chains: networks, clients, compilation, the development network, deployment, and the hub and registry."""
