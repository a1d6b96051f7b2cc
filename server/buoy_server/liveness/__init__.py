"""Which machines are alive, and what their runs are asked to do.

    POST heartbeat --+                          +-- stop requests --> answer
                     +--> Pulse: once a second -+
    upload ----------+    one transaction       +-- sweep --> crashed, running again

`attention` decides, clock-free, when silence means something; `signs` and `stops` are the SQL; `pulse` runs them.
"""
