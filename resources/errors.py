"""The errors people are expected to meet: one clear line each, without a traceback."""


class PlatformError(Exception):
    """A failure whose message says what went wrong, where, and what to do about it.

    The command line prints the message as one line and exits with `exit_code`.
    """

    exit_code = 1


SPARK_LOST = "Py4JNetworkError"
"""What Python raises, at the beginning of whatever follows, where Spark's Java process went away."""
SPARK_IS_LOST = (
    "Spark's Java process is gone (killed, or out of memory); what is done is kept: run it again; "
    "logs/spark.log under MLB_HOME may say more"
)
