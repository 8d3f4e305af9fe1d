"""Types into a shell like a person: a key at a time, uneven, with pauses to read and think. Writes to standard output."""

import random
import sys
import time

# What is typed, and how long the typist then looks at the result. The long pauses are the idle times of the session.
SCRIPT = [
    ("echo hello", 2.0),
    ("seq 1 40", 9.0),
    ("echo still here", 1.5),
    ("seq 1 200 | tail -n 5", 12.0),
    ("echo good bye", 6.0),
    ("exit", 0.5),
]

keys = random.Random(8653)
time.sleep(2.0)
for command, pause in SCRIPT:
    for key in command + "\n":
        sys.stdout.write(key)
        sys.stdout.flush()
        time.sleep(keys.uniform(0.06, 0.22))
    time.sleep(pause)
