"""When a time limit is exceeded: a notebook must not lose time because other programs keep the processor busy."""

IDLE = 0.1  # share of the wall time: a process that used less does not wait for the processor
PATIENCE = 3  # times the limit: the longest wall time, however busy the processor is


def is_over(wall_s: float, cpu_s: float, limit_s: float) -> bool:
    """Whether a process has exceeded its limit after `wall_s` of wall time and `cpu_s` of processor time, in seconds.

    True once the wall time exceeds the limit, unless the process was waiting for a busy processor: then it may go on
    until its processor time reaches the limit, or its wall time three times the limit. A process that used
    less than a tenth of the wall time was idle, not waiting for the processor.

    For example, with a limit of 10 s: after 11 s, a process that used the processor for 20 s is stopped, a process
    that got it for only 6 s may go on, and an idle process is stopped. After 31 s, each is stopped.

    >>> is_over(11, 20, 10), is_over(11, 6, 10), is_over(11, 0.1, 10), is_over(31, 6, 10)
    (True, False, True, True)
    """
    if wall_s <= limit_s:
        return False
    kept_waiting = IDLE * wall_s <= cpu_s < limit_s
    return not kept_waiting or wall_s > PATIENCE * limit_s
