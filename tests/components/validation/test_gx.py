import subprocess
import sys

SPARED = ("altair", "scipy.stats", "sqlalchemy")

SCRIPT = f"""
import sys
from components.validation.gx import gx

loaded = [name for name in {SPARED} if "__file__" in vars(sys.modules.get(name, object))]
assert not loaded, loaded

import pandas as pd
context = gx.get_context(mode="ephemeral")
asset = context.data_sources.add_pandas("letters").add_dataframe_asset("all")
table = pd.DataFrame({{"letter": ["a", "b", "b", "b"]}})
batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={{"dataframe": table}})
shares = {{"values": ["a", "b"], "weights": [0.25, 0.75]}}
expected = gx.expectations.ExpectColumnKLDivergenceToBeLessThan(
    column="letter", partition_object=shares, threshold=0.1
)
assert batch.validate(expected).success

import altair, scipy.stats, sqlalchemy
assert sqlalchemy.text("a") is not None and altair.Chart and scipy.stats.norm.cdf(0) == 0.5
"""


def test_what_is_seldom_used_is_not_loaded_until_it_is():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
