"""Ansible's linear strategy over Mitogen: a host keeps one Python that runs its tasks, which takes a quarter of the time.

Mitogen brings a plugin of this name, in a folder that depends on Python's version; ansible.cfg names this one.
"""

import ansible_mitogen.affinity
import ansible_mitogen.loaders
import ansible_mitogen.strategy

# Mitogen would bind each of its processes to a processor, and to the second of two all that tasks start on this machine: builds, Docker.
ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()

linear = ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True)


class StrategyModule(ansible_mitogen.strategy.StrategyMixin, linear):
    """Runs every task on all hosts before the next, as `linear` does."""
