from importlib.util import find_spec

from tests import needs

needs.only_where(find_spec("grpc"), "the extra grpc is not installed")
