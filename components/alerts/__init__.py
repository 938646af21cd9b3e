"""Alerts: people are told what happened, once for each event, whatever breaks in between.

``outbox``       what is to be told and to whom, in a database of this workspace: written before anything is sent
``from_ledger``  events that the registry's ledger has: they are taken from there, so that none is lost in between
``watch``        schedules that did not run
``addresses``    where to send, with secrets from the environment
``delivery``     sends what is owed
``sender``       does so in a process of its own: it may be killed at any time, and nobody waits for it for long
"""
