"""Operations on tensors (Keras name: `keras.ops`), one file a family; each family's `__all__` is what is public."""

from ..core.operators import FUNCTIONS
from .activation import *
from .arithmetic import *
from .bitwise import *
from .broadcast import *
from .comparison import *
from .control import *
from .convert import *
from .convolution import *
from .create import *
from .custom import *
from .cumulative import *
from .division import *
from .elementwise import *
from .identity import *
from .join import *
from .linalg import *
from .nan_statistics import *
from .normalization import *
from .pooling import *
from .power import *
from .rectifier import *
from .reduce import *
from .rounding import *
from .selection import *
from .shape import *
from .softmax import *
from .sorting import *
from .sparse_activation import *
from .statistics import *
from .trigonometry import *

FUNCTIONS.update({name: value for name, value in globals().items() if callable(value) and not name.startswith("_")})
