import numpy as np, traceback
from nbnet.core import jit
from nbnet.core.abi import kernel, vec, device
F=np.dtype('float32')
def make():
    @kernel
    def dup(mem, ins, step):
        y=vec(mem,ins,0)
        y[0]=3.0
    return dup
@kernel
def bad(mem,ins,step):
    raise ValueError
a,b,c=make(),make(),make()
try: jit.link([a,bad],F)
except TypeError as e: print(e)
print(jit.link([b],F)); print(jit.link([c,a],F))
