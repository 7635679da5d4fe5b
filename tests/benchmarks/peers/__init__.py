"""The same job on other stream processors, written as a good engineer would, to be measured beside ours.

Same statements in, same journeys, same public progress documents in MongoDB under the same `_id` and the same indexes
(majority-acknowledged), same events out, at least once: an offset is committed after what it covers is durable and its
events are acknowledged. They may be faster than we are by what they leave out; `job.py` says what that is.

Measured in a virtual environment of their own (`make peers`), as they hold other packages back. By hand, with the
settings in the environment: `.venv-peers/bin/python -m tests.benchmarks.peers NAME`.
"""
