"""Functions of nbnet.ops and the operations of Keras that they are in the configuration of a model."""

from __future__ import annotations

#: Functions by Keras's module of their operation, with the arguments of its constructor.
_OPERATIONS = {
    "keras.src.ops.numpy": """
        abs absolute add all:axis,keepdims allclose:rtol,atol,equal_nan amax:axis,keepdims amin:axis,keepdims
        any:axis,keepdims append:axis arange:dtype arccos arccosh arcsin arcsinh arctan arctan2 arctanh
        argmax:axis,keepdims argmin:axis,keepdims argpartition:kth,axis argsort:axis
        array_split:indices_or_sections,axis average:axis bincount:weights,minlength bitwise_left_shift
        bitwise_right_shift broadcast_to:shape cbrt ceil clip:x_min,x_max concatenate:axis copy corrcoef
        correlate:mode cos cosh count_nonzero:axis cross:axisa,axisb,axisc,axis cumprod:axis,dtype
        cumsum:axis,dtype deg2rad diag:k diagflat:k diagonal:offset,axis1,axis2 diff:n,axis digitize divide
        divide_no_nan dot dsplit:indices_or_sections dstack einsum:subscripts empty_like:dtype equal exp exp2
        expand_dims:axis expm1 fabs flip:axis fliplr flipud floor floor_divide fmax fmin fmod full:shape,dtype
        full_like:dtype gcd geomspace:num,endpoint,dtype,axis get_item greater greater_equal heaviside
        hsplit:indices_or_sections hstack hypot i0 inner isclose:equal_nan isfinite isin:assume_unique,invert
        isinf isnan isneginf isposinf isreal kron lcm ldexp left_shift less less_equal
        linspace:num,endpoint,retstep,dtype,axis log log10 log1p log2 logaddexp logaddexp2 logical_and
        logical_not logical_or logical_xor logspace:num,endpoint,base,dtype,axis matmul
        max:axis,keepdims,initial maximum mean:axis,keepdims median:axis,keepdims meshgrid:indexing
        min:axis,keepdims,initial minimum mod moveaxis:source,destination multiply
        nan_to_num:nan,posinf,neginf nancumprod:axis,dtype nancumsum:axis,dtype nanmax:axis,keepdims
        nanmean:axis,keepdims nanmedian:axis,keepdims nanmin:axis,keepdims nanpercentile:axis,method,keepdims
        nanprod:axis,keepdims nanquantile:axis,method,keepdims nanstd:axis,keepdims nansum:axis,keepdims
        nanvar:axis,keepdims negative nextafter not_equal ones_like:dtype outer pad:pad_width,mode
        percentile:axis,method,keepdims power prod:axis,keepdims,dtype ptp:axis,keepdims
        quantile:axis,method,keepdims rad2deg ravel reciprocal repeat:repeats,axis reshape:newshape
        right_shift roll:shift,axis rot90:k,axes round:decimals searchsorted:side select sign signbit sin sinc
        sinh sort:axis split:indices_or_sections,axis sqrt square squeeze:axis stack:axis std:axis,keepdims
        subtract sum:axis,keepdims swapaxes:axis1,axis2 take:axis take_along_axis:axis tan tanh tensordot:axes
        tile:repeats trace:offset,axis1,axis2 transpose:axes trapezoid:x,dx,axis tril:k triu:k true_divide
        trunc unravel_index:shape vander:N,increasing var:axis,keepdims vdot vsplit:indices_or_sections vstack
        where zeros_like:dtype
    """,
    "keras.src.ops.nn": """
        adaptive_average_pool:output_size,data_format adaptive_max_pool:output_size,data_format
        average_pool:pool_size,strides,padding,data_format batch_normalization:axis,epsilon
        binary_crossentropy:from_logits categorical_crossentropy:from_logits,axis celu:alpha
        conv:strides,padding,data_format,dilation_rate
        conv_transpose:strides,padding,output_padding,data_format,dilation_rate
        depth_to_space:block_size,data_format depthwise_conv:strides,padding,data_format,dilation_rate
        elu:alpha fold:output_size,kernel_size,dilation,padding,stride gelu:approximate glu:axis
        hard_shrink:threshold hard_sigmoid hard_silu hard_tanh leaky_relu:negative_slope log_sigmoid
        log_softmax:axis max_pool:pool_size,strides,padding,data_format moments:axes,keepdims,synchronized
        multi_hot:num_classes,axis,dtype,sparse normalize:axis,order,epsilon
        one_hot:num_classes,axis,dtype,sparse psnr:max_val relu relu6 selu
        separable_conv:strides,padding,data_format,dilation_rate sigmoid silu soft_shrink:threshold
        softmax:axis softplus softsign space_to_depth:block_size,data_format
        sparse_categorical_crossentropy:from_logits,axis sparse_plus sparse_sigmoid sparsemax:axis
        squareplus:b tanh_shrink threshold:threshold,default_value unfold:kernel_size,dilation,padding,stride
    """,
    "keras.src.ops.math": """
        cdist erf erfc erfinv extract_sequences:sequence_length,sequence_stride in_top_k:k logdet
        logsumexp:axis,keepdims rsqrt segment_max:num_segments,sorted segment_min:num_segments,sorted
        segment_prod:num_segments,sorted segment_sum:num_segments,sorted top_k:k,sorted
    """,
    "keras.src.ops.core": """
        cast:dtype convert_to_tensor:dtype saturate_cast:dtype scatter:shape scatter_update:reduction
        slice:shape slice_update stop_gradient unstack:num,axis
    """,
    "keras.src.ops.linalg": """
        cholesky:upper cholesky_inverse:upper det eigh inv lstsq:rcond lu_factor matrix_rank:tol
        norm:ord,axis,keepdims pinv:rcond qr:mode solve solve_triangular:lower svd:full_matrices,compute_uv
    """,
}  # fmt: skip
#: Numbers of arguments of calls, which are tensors, where they are not two at most.
TENSORS = {
    "amax": 1, "amin": 1, "arange": 3, "batch_normalization": 5, "einsum": 100, "isclose": 4, "relu": 1,
    "scatter_update": 3, "select": 3, "separable_conv": 3, "slice_update": 3, "where": 3,
}  # fmt: skip
#: Names of operations that are not those of their functions in camel case.
_CLASSES = {
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "cdist": "CDist", "isin": "IsIn", "psnr": "PSNR",
    "searchsorted": "SearchSorted", "svd": "SVD",
}  # fmt: skip
#: Names of the functions of operations that are others in nbnet, or have several.
_FUNCTIONS = {"Abs": "abs", "Absolute": "absolute", "HardSwish": "hard_silu", "Swish": "silu"}


def _table() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    found = {}
    for module, text in _OPERATIONS.items():
        for entry in text.split():
            name, _, arguments = entry.partition(":")
            class_name = _CLASSES.get(name) or "".join(word.capitalize() for word in name.split("_"))
            found[name] = module, class_name, tuple(arguments.split(",")) if arguments else ()
    return found


#: By name of a function: module and class of Keras's operation, and the arguments of its constructor.
OPERATIONS = _table()
BY_CLASS = {class_name: name for name, (_, class_name, _) in OPERATIONS.items()} | _FUNCTIONS
