"""Samples the machine for runs: `machine` and `cgroup` the host, `process_tree` the run's processes, `gpu` the cards.

The names are those of wandb's system metrics, so that dashboards and scripts carry over.
"""
