"""Real data from end to end: New York's flights of 2013 and the land mask of the Earth."""

import csv
import io
import math
import zipfile

import numpy as np
import pytest

import spanflow as sf
from spanflow import _data, _demo_job
from tests.flights import blocks_of_lines, flights_archive

KNOWN = 328_521  # departures of which the delay is known
DEP_DELAY, CARRIER, HOUR = 5, 9, 16
CARRIERS = [
    "9E",
    "AA",
    "AS",
    "B6",
    "DL",
    "EV",
    "F9",
    "FL",
    "HA",
    "MQ",
    "OO",
    "UA",
    "US",
    "VX",
    "WN",
    "YV",
]

pytestmark = pytest.mark.timeout(280)


def columns_of(block):
    """Some lines as arrays; NaN where nothing is known."""
    delay, carrier, hour = [], [], []
    for line in csv.reader(io.StringIO(block.decode())):
        delay.append(math.nan if line[DEP_DELAY] == "NA" else float(line[DEP_DELAY]))
        carrier.append(CARRIERS.index(line[CARRIER]))
        hour.append(int(line[HOUR]))
    columns = {"delay": np.array(delay), "carrier": np.array(carrier), "hour": np.array(hour)}
    return {name: sf.asarray(column) for name, column in columns.items()}


@pytest.fixture(scope="module")
def flights():
    return flights_archive()


@pytest.fixture(scope="module")
def truth(flights):
    """Delays by carrier and hour: a plain evaluation in one pass."""
    groups = {}
    with zipfile.ZipFile(flights) as archive, archive.open("flights.csv") as file:
        for row in csv.DictReader(io.TextIOWrapper(file)):
            if row["dep_delay"] not in ("", "NA"):
                key = CARRIERS.index(row["carrier"]) * 24 + int(row["hour"])
                groups.setdefault(key, []).append(float(row["dep_delay"]))
    assert sum(map(len, groups.values())) == KNOWN
    return groups


@pytest.mark.parametrize("workers", [None, "thread"])
@pytest.mark.parametrize("threads", [1, 3])
def test_delay_by_carrier_and_hour(flights, truth, threads, workers):
    pipe = sf.Pipeline(blocks_of_lines(flights, 5000)).map(columns_of, workers=workers)
    known = pipe.filter(sf.col("delay") == sf.col("delay"))
    key = sf.col("carrier") * 24 + sf.col("hour")
    found = known.group_by(key, threads=threads, memory="64MB").agg(
        n=sf.count, mean=("delay", "mean"), std=("delay", "std"), worst=("delay", "max")
    )
    assert found["key"].tolist() == sorted(truth)
    delays = [np.array(truth[key]) for key in sorted(truth)]
    assert found["n"].tolist() == [len(delay) for delay in delays]
    assert found["worst"].tolist() == [delay.max() for delay in delays]
    np.testing.assert_allclose(found["mean"], [delay.mean() for delay in delays], rtol=1e-12)
    np.testing.assert_allclose(found["std"], [delay.std() for delay in delays], rtol=1e-10)
    n, mean = np.asarray(found["n"]), np.asarray(found["mean"])
    assert n.sum() == KNOWN
    assert round(float((n * mean).sum() / KNOWN), 3) == 12.639


def test_all_delays(flights):
    """Columns that are kept, and read again by native stages."""
    pipe = sf.Pipeline(blocks_of_lines(flights, 20_000)).map(columns_of).cache()
    delays = pipe.map(sf.col("delay") * 1.0).filter(lambda x: x == x)  # no NaN
    reductions = {"mean": sf.mean, "low": sf.min, "high": sf.max}
    first, again = (delays.reduce(reductions, threads=threads) for threads in (1, 3))
    assert first == again
    assert round(first["mean"], 3) == 12.639 and (first["low"], first["high"]) == (-43, 1301)
    assert sum(map(len, delays)) == KNOWN


@pytest.fixture(scope="module")
def planet():
    try:
        return _data.land_mask(print)
    except _data.DataError as error:
        pytest.skip(str(error))


def test_land_mask(planet):
    """933 MB from the mapped file, by one reduction and by rows, against NumPy."""
    mask, latitude = sf.open(planet.mask), np.load(planet.latitude)
    rows = sf.Pipeline(sf.read(mask, rows=300)).map(sf.mean, axis=1)
    options = {"memory": "64MB", "threads": 2}
    ocean = rows.collect(**options)
    expected = np.concatenate(
        [part.mean(axis=1) for part in np.split(np.load(planet.mask, "r"), 72)]
    )
    np.testing.assert_allclose(ocean, expected, rtol=1e-12)
    weights = np.cos(np.radians(latitude))
    land = 1 - float((np.asarray(ocean) * weights).sum() / weights.sum())
    assert math.isclose(land, _demo_job.LAND, abs_tol=1e-10)
    mean = sf.Pipeline(sf.read(mask, rows=300)).reduce(sf.mean, **options)
    assert math.isclose(mean, _demo_job.OCEAN_CELLS, abs_tol=1e-12)
