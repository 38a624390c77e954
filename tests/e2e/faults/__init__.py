"""Faults injected for real: a real bridge, a real Mosquitto, simulated trackers, and a count.

    trackers --TCP--> bridge process --MQTT--> [wire] --> Mosquitto --> ear
        |                  |                                             |
        +-- sent, answered +-- journal.db, read once it has stopped      +-- published
                 \\___________________________ tally ____________________/

`catalogue` lists the faults. The tests run each in its short form, `python -m tests.soak` in its
long one.
"""
