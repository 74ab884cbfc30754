"""When a limit of time is spent: a loaded machine must not take from a notebook what the notebook did not use."""

IDLE = 0.1  # of the time that has passed; what works less waits for nothing, or for nobody but itself
PATIENCE = 3  # limits, after which it is over however little of the processor it was given


def is_over(wall_s: float, cpu_s: float, limit_s: float) -> bool:
    """Whether a limit is spent by what has run for `wall_s` and used `cpu_s` of processor time, all in seconds.

    It is once the wall time is and, where others kept it from the processor, the processor time, too.

    >>> is_over(11, 20, 10), is_over(11, 6, 10), is_over(11, 0.1, 10), is_over(31, 6, 10)
    (True, False, True, True)
    """
    if wall_s <= limit_s:
        return False
    kept_waiting = IDLE * wall_s <= cpu_s < limit_s
    return not kept_waiting or wall_s > PATIENCE * limit_s
