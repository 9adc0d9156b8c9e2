import numpy as np, traceback
import nbnet as nb
from nbnet.core import jit
from nbnet.core.abi import kernel, vec, device
from nbnet.core.graph import differentiate, Tensor, Parameter
from nbnet.core.program import lower, Linked
from nbnet.core.tape import Trace, Tape
from nbnet.ops.fusion import fuse
F=np.dtype('float32')
# x*x with intermediate
x=Tensor((2,3),F,np.ones((2,3),F)); w=Parameter(np.ones((3,3),F)); 
for f in (lambda h: h*h, lambda h: nb.ops.concatenate([h,h]), lambda h: h/h):
    try:
        with Trace() as t:
            h=nb.ops.relu(nb.ops.matmul(x,w)); y=f(h)
        g=Tensor(y.shape,F,np.ones(y.shape,F))
        calls,gr=differentiate(t.nodes,{y:g},[w])
        p=lower([[[n.call() for n in t.nodes]+calls]],[0],F,keep=[gr[w]])
        l=Linked(p); l.run(1,0); print(l.view(gr[w]))
        with Tape() as t:
            h=nb.ops.relu(nb.ops.matmul(x,w)); y=f(h)
        print(t.gradient(y,w).numpy())
    except Exception: traceback.print_exc(limit=2)
# matmul(x,x), dense(x,x,b)
a=np.random.default_rng(0).normal(size=(3,3))
for f,ref in ((lambda v: nb.ops.matmul(v,v), None),(lambda v: nb.ops.dense(v,v,np.zeros(3)),None)):
    v=Parameter(a,dtype='float64')
    with Tape() as t: s=nb.ops.sum(f(v))
    got=t.gradient(s,v).numpy()
    one=np.ones((3,3)); print(np.allclose(got, one@a.T+a.T@one))
