"""Tracking, from full topics to committed rows, as a ratio to a bare script that reads the same messages.

The bare script (`bench.bare.tracking`, frozen) decodes with fastavro what librdkafka reads and takes 20,000 items a
transaction into a journal with one index and a row a plastic; it checks and answers nothing. Both read the topics of
every factory, first with one process, then with two side by side, into databases of their own. A process's time begins
when all have their partitions and ends with the last commit. `python -m bench.tracking [--plastics N]` brings up a
stack of its own without workers, on other ports, and takes it down.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from confluent_kafka import Producer, TopicPartition
from kafka.producer.future import FutureRecordMetadata  # noqa: F401
