from fountain_common.migrations import run
from notification.models import metadata

run(metadata)
