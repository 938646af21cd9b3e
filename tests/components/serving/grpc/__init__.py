import pytest

pytest.importorskip("grpc", reason="the extra grpc is not installed")
