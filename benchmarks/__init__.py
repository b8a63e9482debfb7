"""Measurements that others can repeat: how long predictions take here, and beside other servers."""
