/** Generated from src/dsl/std by scripts/embed-std.ts; do not edit. */
export const STD: Readonly<Record<string, string>> = {
  adapters: `


adapter lora(
  rank: int,
  alpha: float = rank,
  rslora: bool = false,
  bias: bool = false
) on base: Linear(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  scale = if rslora { alpha / sqrt(rank) } else { alpha / rank }
  A = param [rank, in] kaiming_uniform(sqrt(5))
  B = param [out, rank] zeros
  if bias { c = param [out] zeros }
  forward(x) {
    update = x @ A.T @ B.T
    base(x) + scale * if bias { update + c } else { update }
  }
}


adapter dora(rank: int, alpha: float = rank) on base: Linear(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  A = param [rank, in] kaiming_uniform(sqrt(5))
  B = param [out, rank] zeros
  m = param [out] norm(base.weight, axis: 1)
  V = base.weight + (alpha / rank) * (B @ A)
  forward(x) { base(x, weight: (m / stop_gradient(norm(V, axis: 1)))[:, new] * V) }
}



adapter lora_conv(
  rank: int,
  alpha: float = rank,
  rslora: bool = false,
  bias: bool = false
) on base: Conv2d(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  require(base.groups == 1, "the convolution must not be in groups")
  scale = if rslora { alpha / sqrt(rank) } else { alpha / rank }
  kh, kw = base.kernel
  A = param [rank, in, kh, kw] uniform(1 / sqrt(in * kh * kw))
  B = param [out, rank] zeros
  if bias { c = param [out] zeros }
  V = base.weight + scale * reshape(B @ reshape(A, [rank, in * kh * kw]), [out, in, kh, kw])
  forward(x) {
    if bias { base(x, weight: V, bias: base.bias + scale * c) } else { base(x, weight: V) }
  }
}

adapter dora_conv(rank: int, alpha: float = rank) on base: Conv2d(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  require(base.groups == 1, "the convolution must not be in groups")
  kh, kw = base.kernel
  A = param [rank, in, kh, kw] uniform(1 / sqrt(in * kh * kw))
  B = param [out, rank] zeros
  m = param [out] norm(base.weight, axis: [1, 2, 3])
  V = base.weight + (alpha / rank) * reshape(
        B @ reshape(A, [rank, in * kh * kw]),
        [out, in, kh, kw]
      )
  forward(x) {
    base(x, weight: (m / stop_gradient(norm(V, axis: [1, 2, 3])))[:, new, new, new] * V)
  }
}






adapter karst(
  kernels: int = 2,
  factor: int = 8,
  rank: int = 8,
  rescale: none | scalar | channel = channel,
  input: bool = false,
  init: kaiming | gaussian = kaiming,
  std: float = 0.02
) on base: Linear(in -> out) {
  require(kernels >= 1, "kernels must be at least 1")
  require(rank >= 1, "rank must be at least 1")
  o1, o2 = factorize(out / base.parts, factor)
  i1, i2 = factorize(in, factor)
  start = if init == gaussian { normal(std) } else { kaiming_uniform(sqrt(5)) }
  C = param [kernels, o1, i1] start
  A = param [kernels, base.parts, rank, o2] start
  B = param [kernels, i2, rank] zeros
  delta = concat(p < base.parts: sum(k < kernels: kron(C[k], A[k, p].T @ B[k].T)), axis: 0) / rank
  if rescale != none {
    s = param [if rescale == channel { out } else { 1 }] zeros
    t = param [if rescale == channel { out } else { 1 }] zeros
  }
  if input {
    u = param [1] zeros
    w = param [1] zeros
  }
  forward(x) {
    z = if input { (1 + u) * x + w } else { x }
    y = base(z, weight: base.weight + delta)
    if rescale == none { y } else { (1 + s) * y + t }
  }
}



adapter alore(
  experts: int = 4,
  rank: int = 4,
  scale: float = 1,
  bias: bool = false
) on base: Linear(in -> out) {
  require(experts >= 1, "experts must be at least 1")
  require(rank >= 1, "rank must be at least 1")
  require(in % experts == 0, "experts must divide the layer's input size")
  S = param [experts, experts, experts] normal(1 / experts)
  U = param [experts, in / experts, rank] zeros
  V = param [experts, rank, in / experts] xavier_uniform
  A = sum(i < experts: kron(S[i], U[i] @ V[i]))
  if bias { c = param [in] zeros }
  forward(x) { base(x + scale * (x @ A.T + if bias { c } else { 0 })) }
}




adapter repadapter(hidden: int = 8, groups: int = 2, scale: float = 1) on base: Linear(in -> out) {
  require(groups >= 1, "groups must be at least 1")
  require(hidden >= 1 and hidden % groups == 0, "groups must divide hidden")
  require(in % groups == 0, "groups must divide the layer's input size")
  k = hidden / groups
  A = param [hidden, in] xavier_uniform
  a = param [hidden] zeros
  B = param [groups, in / groups, k] zeros
  c = param [in] zeros
  forward(x) {
    up = concat(
      g < groups: (x @ A[g * k..(g + 1) * k].T + a[g * k..(g + 1) * k]) @ B[g].T,
      axis: -1
    )
    base(x + scale * (up + c))
  }
}


adapter ssf() on base: Layer(in -> out) {
  gamma = param [out] normal(0.02, mean: 1)
  beta = param [out] normal(0.02)
  forward(x) {
    if base.axis == 1 {
      gamma[:, new, new] * base(x) + beta[:, new, new]
    } else {
      gamma * base(x) + beta
    }
  }
}


adapter fact_tt(rank: int = 16, scale: float = 1) on base: Linear(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  U = shared param [rank, in] default
  V = shared param [out, rank] zeros
  core = param [rank, rank] default
  forward(x) { base(x) + scale * (x @ U.T @ core.T @ V.T) }
}


adapter adaptformer(hidden: int = 64, scale: float = 0.1) on base: (x: [b, n, dim]) {
  require(hidden >= 1, "hidden must be at least 1")
  down = Linear(dim -> hidden)
  up = Linear(hidden -> dim, init: zeros)
  forward(x) { base(x) + scale * up(relu(down(x))) }
}


adapter vpt(prompts: int = 10) on base: (x: [b, n, dim]) {
  require(prompts >= 1, "prompts must be at least 1")
  P = param [1, prompts, dim] uniform(sqrt(6 / (3 * 16 * 16 + dim)))
  forward(x) { base(concat(x, expand(P, b), axis: 1))[:, 0..n] }
}




adapter prefix(length: int = 16) on base: (
  q: [b, h, n, d],
  k: [b, h, m, d],
  v: [b, h, m, d],
  bias
) {
  require(length >= 1, "length must be at least 1")
  K = param [1, h, length, d] normal(0.02)
  V = param [1, h, length, d] normal(0.02)
  forward(q, k, v, bias) {
    keys = concat(expand(K, b), k, axis: 2)
    values = concat(expand(V, b), v, axis: 2)

    base(
      q,
      keys,
      values,
      if bias == none { none } else { pad(bias, [0, 0, 0, length], [0, 0, 0, 0]) }
    )
  }
}




adapter relative_bias(class_tokens: int = 1) on base: (
  q: [b, h, n, d],
  k: [b, h, m, d],
  v: [b, h, m, d],
  bias
) {
  require(n == m, "a relative bias goes below what adds keys: put it on after the prefix")
  require(class_tokens == 0 or class_tokens == 1, "there is one class token, or none")
  grid = round(sqrt(n - class_tokens))
  require(grid * grid == n - class_tokens, "the patches must be a square grid")
  near = table(i < grid, j < grid: i - j + grid - 1)
  T = param [2 * grid - 1, 2 * grid - 1, h] zeros

  by_place = gather(gather(T, near, axis: 0), near, axis: 2)
  patches = rearrange(by_place, "yi yj xi xj h -> h (yi xi) (yj xj)")
  if class_tokens == 1 {

    C = param [3, h, 1, 1] zeros
    first = concat(C[2], expand(C[0], n - 1, axis: 2), axis: 2)
    B = concat(first, concat(expand(C[1], n - 1, axis: 1), patches, axis: 2), axis: 1)
  } else {
    B = patches
  }
  forward(q, k, v, bias) { base(q, k, v, if bias == none { B[new] } else { bias + B[new] }) }
}
`,
  as_mlp: `




function moved_runs(
  x: tensor,
  shift: int,
  far: int = floor(shift / 2),
  run: int = ceil(size(x, 3) / shift)
) = concat(
  g < ceil(size(x, 3) / run):
    pad(x, [0, far, 0, 0], [0, far, 0, 0])[
      :,
      2 * far - g..2 * far - g + size(x, 1),
      :,
      g * run..min([(g + 1) * run, size(x, 3)])
    ],
  axis: 3
)

function moved_along(x: tensor, shift: int) = moved_runs(x, shift)
function moved_across(x: tensor, shift: int) = rearrange(
  moved_runs(rearrange(x, "b h w d -> b w h d"), shift),
  "b w h d -> b h w d"
)


module WholeNorm(dim: int) {
  all = GroupNorm(1, dim)
  forward(x: [b, h, w, dim]) { channels_last(all(channels_first(x))) }
}

module AxialShift(dim: int, shift: int, bias: bool = true) {
  conv1 = Linear(dim -> dim, bias: bias)
  norm1 = WholeNorm(dim)
  conv2_1 = Linear(dim -> dim, bias: bias)
  conv2_2 = Linear(dim -> dim, bias: bias)
  norm2 = WholeNorm(dim)
  conv3 = Linear(dim -> dim, bias: bias)
  site activate(x: [b, h, w, dim]) = gelu(x)

  site across(x: [b, h, w, dim]) = conv2_1(moved_across(x, shift))
  site along(x: [b, h, w, dim]) = conv2_2(moved_along(x, shift))
  forward(x: [b, h, w, dim]) {
    y = activate(norm1(conv1(x)))
    conv3(norm2(activate(across(y)) + activate(along(y))))
  }
}

module AxialShiftedBlock(dim: int, hidden: int, shift: int, bias: bool = true, drop: float = 0) {
  norm1 = WholeNorm(dim)
  axial_shift = AxialShift(dim, shift, bias: bias)
  norm2 = WholeNorm(dim)
  mlp = Mlp(dim, hidden)
  site axial_branch(x: [b, h, w, dim]) = axial_shift(norm1(x))
  site mlp_branch(x: [b, h, w, dim]) = as_grid(mlp(as_tokens(norm2(x))), h)
  forward(x: [b, h, w, dim]) {
    y = x + drop_path(axial_branch(x), drop)
    y + drop_path(mlp_branch(y), drop)
  }
}


module AxialMerging(in: int, out: int) {
  norm = WholeNorm(4 * in)
  reduction = Linear(4 * in -> out, bias: false)
  forward(x: [b, h, w, in]) {
    reduction(norm(four_as_one(x)))
  }
}


module AxialStage(
  in: int,
  out: int,
  depth: int,
  halves: bool,
  mlp_ratio: float,
  shift: int,
  bias: bool,
  drop: float,
  before: int,
  all: int
) {
  if halves { downsample = AxialMerging(in, out) }
  blocks = repeat i < depth {
    AxialShiftedBlock(
      out,
      floor(mlp_ratio * out),
      shift,
      bias: bias,
      drop: drop_rate(drop, before + i, all)
    )
  }
  forward(x: [b, h, w, in]) { if halves { blocks(downsample(x)) } else { blocks(x) } }
}


backbone as_mlp(
  image: int | [int] = 224,
  patch: int = 4,
  channels: int = 3,
  dim0: int = 96,
  depths: [int],
  shift_size: int = 5,
  mlp_ratio: float = 4,
  as_bias: bool = true,
  patch_norm: bool = true,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  number = size(depths)
  side = sides(image)
  require(number >= 1, "there must be at least one stage")
  require(shift_size >= 1 and shift_size % 2 == 1, "shift_size is odd: as far back as forward")
  require(
    side % (patch * pow(2, number - 1)) == [0, 0],
    "image must be a multiple of the patch in the last stage, where each stage after the first halves the grid"
  )
  patch_embed = Conv2d(channels -> dim0, kernel: patch, stride: patch)
  if patch_norm { embed_norm = WholeNorm(dim0) }
  stages = repeat s < number {
    AxialStage(
      if s > 0 { dim0 * pow(2, s - 1) } else { dim0 },
      dim0 * pow(2, s),
      depths[s],
      halves: s > 0,
      mlp_ratio: mlp_ratio,
      shift: shift_size,
      bias: as_bias,
      drop: drop_path_rate,
      before: sum(r < s: depths[r]),
      all: sum(depths)
    )
  }
  levels = repeat s < number { stages[s] }
  level_dims = repeat s < number { dim0 * pow(2, s) }
  level_axis = 3
  dim = dim0 * pow(2, number - 1)
  norm = WholeNorm(dim)

  class_tokens = 1
  register_tokens = 0
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = channels_last(patch_embed(pixels))
    t = norm(stages(if patch_norm { embed_norm(p) } else { p }))
    with_mean(as_tokens(t))
  }
}


variant as_mlp_auto = as_mlp() {
  preprocess = resize(floor((image * 256) / 224), bicubic),
    crop(image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names authors {
    unseen shift_size
    "patch_embed.proj" = patch_embed
    optional "patch_embed.norm" = embed_norm.all
    "layers.{s}.blocks.{i}.norm1" = stages[s].blocks[i].norm1.all
    "layers.{s}.blocks.{i}.norm2" = stages[s].blocks[i].norm2.all
    "layers.{s}.blocks.{i}.axial_shift.norm1" = stages[s].blocks[i].axial_shift.norm1.all
    "layers.{s}.blocks.{i}.axial_shift.norm2" = stages[s].blocks[i].axial_shift.norm2.all
    "layers.{s}.blocks.{i}.axial_shift.conv1.weight" = stages[s].blocks[i].axial_shift.conv1.weight[
      :,
      :,
      new,
      new
    ]
    optional "layers.{s}.blocks.{i}.axial_shift.conv1.bias" = stages[s].blocks[
      i
    ].axial_shift.conv1.bias
    "layers.{s}.blocks.{i}.axial_shift.conv2_1.weight" = stages[s].blocks[
      i
    ].axial_shift.conv2_1.weight[:, :, new, new]
    optional "layers.{s}.blocks.{i}.axial_shift.conv2_1.bias" = stages[s].blocks[
      i
    ].axial_shift.conv2_1.bias
    "layers.{s}.blocks.{i}.axial_shift.conv2_2.weight" = stages[s].blocks[
      i
    ].axial_shift.conv2_2.weight[:, :, new, new]
    optional "layers.{s}.blocks.{i}.axial_shift.conv2_2.bias" = stages[s].blocks[
      i
    ].axial_shift.conv2_2.bias
    "layers.{s}.blocks.{i}.axial_shift.conv3.weight" = stages[s].blocks[i].axial_shift.conv3.weight[
      :,
      :,
      new,
      new
    ]
    optional "layers.{s}.blocks.{i}.axial_shift.conv3.bias" = stages[s].blocks[
      i
    ].axial_shift.conv3.bias
    "layers.{s}.blocks.{i}.mlp.fc1.weight" = stages[s].blocks[i].mlp.fc1.weight[:, :, new, new]
    "layers.{s}.blocks.{i}.mlp.fc1.bias" = stages[s].blocks[i].mlp.fc1.bias
    "layers.{s}.blocks.{i}.mlp.fc2.weight" = stages[s].blocks[i].mlp.fc2.weight[:, :, new, new]
    "layers.{s}.blocks.{i}.mlp.fc2.bias" = stages[s].blocks[i].mlp.fc2.bias
    optional "layers.{s - 1}.downsample.norm" = stages[s].downsample.norm.all
    optional "layers.{s - 1}.downsample.reduction.weight" = stages[s].downsample.reduction.weight[
      :,
      :,
      new,
      new
    ]
    "norm" = norm.all
    "head" = head.fc
  }
}

variant as_mlp_tiny = as_mlp_auto(dim0: 96, depths: [2, 2, 6, 2])
variant as_mlp_small = as_mlp_auto(dim0: 96, depths: [2, 2, 18, 2])
variant as_mlp_base = as_mlp_auto(dim0: 128, depths: [2, 2, 18, 2])
`,
  beit: `



module RelativeBias(
  heads: int,
  grid: [int],
  table_grid: int,
  by: spread | bilinear,
  more: module | none = none
) {
  side = 2 * table_grid - 1
  places = grid[0] * grid[1]

  relative_position_bias_table = param [side * side + 3, heads] zeros
  forward() {
    numbers = rearrange(relative_position_bias_table[0..side * side], "(y x) h -> y x h", y: side)
    near = placed(spread_table(numbers, side, 2 * grid - 1, by), grid)
    token = relative_position_bias_table[side * side..][:, new, :, new, new]
    first = concat(token[2], expand(token[0], places, axis: 3), axis: 3)
    rest = concat(expand(token[1], places, axis: 2), near, axis: 3)
    bias = concat(first, rest, axis: 2)
    if more == none { bias } else { bias + more() }
  }
}





backbone beit(
  table_image: int = 224,
  image: int | [int] = table_image,
  patch: int = 16,
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  mlp_ratio: float = 4,
  hidden: int = floor(mlp_ratio * dim),
  eps: float = 1e-6,
  qkv_bias: bool = true,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu,
  layer_scale: float = 0.1,
  absolute: bool = false,
  relative: bool = true,
  shared_relative: bool = false,
  table_filter: spread | bilinear = spread,
  position_antialias: bool = true,
  pooler: pooled | tokens | none = pooled,
  global_pool: token | avg | none = none,
  pooled_norm: bool | none = none,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  side = sides(image)
  grid = floor(side / patch)
  table_grid = floor(table_image / patch)
  patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch)
  cls_token = param [1, 1, dim] zeros
  if absolute { pos_embed = param [1, 1 + table_grid * table_grid, dim] normal(0.02) }
  if shared_relative { rel_pos_bias = RelativeBias(heads, grid, table_grid, table_filter) }
  shared = if shared_relative { rel_pos_bias } else { none }
  if relative {
    places = repeat i < depth { RelativeBias(heads, grid, table_grid, table_filter, more: shared) }
  }
  blocks = repeat i < depth {
    Block(
      dim,
      heads,
      hidden: hidden,
      eps: eps,
      qkv_bias: qkv_bias,
      k_bias: false,
      drop: drop_rate(drop_path_rate, i, depth),
      layer_scale: layer_scale,
      activation: activation,
      place: if relative { places[i] } else { shared }
    )
  }
  levels = repeat i < min([4, depth]) { blocks[read_block(i, depth)] }
  level_dims = repeat i < min([4, depth]) { dim }
  level_axis = 2

  averages = pooler == pooled and if global_pool == none {
      pooled_norm == none or pooled_norm
    } else {
      global_pool == avg
    }
  late = pooler == pooled and if pooled_norm == none { averages } else { pooled_norm }
  if pooler != none and not late { norm = LayerNorm(dim, eps: eps) }
  if late { fc_norm = LayerNorm(dim, eps: eps) }

  class_tokens = 1
  register_tokens = if averages { 1 } else { 0 }
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = grid_tokens(patch_embed(pixels))
    t = concat(expand(cls_token, b), p, axis: 1)
    y = if absolute {
      t + positions(pos_embed, 1, table_grid, grid, filter: bicubic, antialias: position_antialias)
    } else {
      t
    }
    z = blocks(y)
    tokens = if pooler != none and not late { norm(z) } else { z }
    if averages {
      average = mean(tokens[:, 1..], axis: 1, keep: true)
      concat(if late { fc_norm(average) } else { average }, tokens, axis: 1)
    } else {
      if late { fc_norm(tokens) } else { tokens }
    }
  }
}


variant beit_auto = beit() {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)

  names timm {
    prefix "timm_model."
    bypassed "*.attn.qkv" = "q_bias"
    ignore "*.relative_position_index", "mask_token"
    unseen heads, eps, activation
    "patch_embed.proj" = patch_embed
    optional "blocks.{i}.attn.relative_position_bias_table" = places[i].relative_position_bias_table
    optional "blocks.{i}.gamma_1" = blocks[i].ls1.gamma
    optional "blocks.{i}.gamma_2" = blocks[i].ls2.gamma
    "head" = head.fc
  }

  names huggingface {
    prefix "beit."
    unseen heads, eps, activation, table_filter, position_antialias
    ignore "*.relative_position_index", "beit.embeddings.mask_token", "lm_head.*"
    "beit.embeddings.cls_token" = cls_token
    optional "beit.embeddings.position_embeddings" = pos_embed
    "beit.embeddings.patch_embeddings.projection" = patch_embed
    optional "beit.encoder.relative_position_bias" or "beit.shared_position_bias" = rel_pos_bias
    optional "beit.encoder.layer.{i}.attention.attention.relative_position_bias"
      or "beit.layers.{i}.relative_position_bias" = places[i]
    "beit.encoder.layer.{i}.layernorm_before"
      or "beit.layers.{i}.layernorm_before" = blocks[i].norm1
    "beit.encoder.layer.{i}.attention.attention.query"
      or "beit.layers.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    optional "beit.encoder.layer.{i}.attention.attention.query.bias"
      or "beit.layers.{i}.attention.q_proj.bias" = blocks[i].attn.q_bias
    "beit.encoder.layer.{i}.attention.attention.key"
      or "beit.layers.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "beit.encoder.layer.{i}.attention.attention.value"
      or "beit.layers.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    optional "beit.encoder.layer.{i}.attention.attention.value.bias"
      or "beit.layers.{i}.attention.v_proj.bias" = blocks[i].attn.v_bias
    "beit.encoder.layer.{i}.attention.output.dense"
      or "beit.layers.{i}.attention.o_proj" = blocks[i].attn.proj
    optional "beit.encoder.layer.{i}.lambda_1" or "beit.layers.{i}.lambda_1" = blocks[i].ls1.gamma
    "beit.encoder.layer.{i}.layernorm_after" or "beit.layers.{i}.layernorm_after" = blocks[i].norm2
    "beit.encoder.layer.{i}.intermediate.dense" or "beit.layers.{i}.mlp.fc1" = blocks[i].mlp.fc1
    "beit.encoder.layer.{i}.output.dense" or "beit.layers.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "beit.encoder.layer.{i}.lambda_2" or "beit.layers.{i}.lambda_2" = blocks[i].ls2.gamma
    optional "beit.layernorm" = norm
    optional "beit.pooler.layernorm" = fc_norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "beit"
    table_image = square("image_size") or 224
    patch = square("patch_size") or 16
    channels = count("num_channels") or 3
    dim = count("hidden_size") or 768
    depth = count("num_hidden_layers") or 12
    heads = count("num_attention_heads") or 12
    hidden = count("intermediate_size") or 3072
    eps = amount("layer_norm_eps") or 1e-12
    activation = word(
      "hidden_act",
      gelu_python: gelu,
      gelu_new: gelu_tanh,
      gelu_fast: gelu_tanh,
      gelu_pytorch_tanh: gelu_tanh,
      swish: silu
    ) or gelu
    layer_scale = amount("layer_scale_init_value") or 0.1
    absolute = "use_absolute_position_embeddings" or false
    relative = "use_relative_position_bias" or false
    shared_relative = "use_shared_relative_position_bias" or false
    table_filter = bilinear
    position_antialias = false
    pooler = word(
      "architectures.0",
      BeitForImageClassification: pooled,
      BeitModel: pooled,
      BeitForMaskedImageModeling: tokens
    ) or pooled
    pooled_norm = "use_mean_pooling" or true
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["BeitForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "beit_*", "beitv2_*"
    sizes "architecture"
    only "model_args" = "num_classes", "*drop*rate", "head_init_scale"
    match "model_args.swiglu_mlp" = false, none
    match "model_args.scale_mlp" = false, none
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim = count("model_args.embed_dim")
    depth = count("model_args.depth")
    heads = count("model_args.num_heads")
    mlp_ratio = amount("model_args.mlp_ratio")
    qkv_bias = "model_args.qkv_bias"
    layer_scale = amount("model_args.init_values")
    absolute = "model_args.use_abs_pos_emb"
    relative = "model_args.use_rel_pos_bias"
    shared_relative = "model_args.use_shared_rel_pos_bias"
    global_pool = word("model_args.global_pool") or word("global_pool") or word(
        "pretrained_cfg.global_pool"
      ) or avg
    pooled_norm = "model_args.use_fc_norm"
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "BeitImageProcessor*",
      "BeitFeatureExtractor*",
      none
    given = "size" or {height: 224, width: 224}
    cut = "crop_size" or {height: 224, width: 224}
    moved = table_image != none and table_image != image

    set "size" = if moved { sized(image) } else { given }
    set "crop_size" = if moved { sized(image) } else { cut }
    "default_to_square" = true
    "resample" = 3
    "do_center_crop" = false
    "image_mean" = 0.5
    "image_std" = 0.5
  }
}

variant beit_base_patch16_224 = beit_auto(dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "beit_base_patch16_224"
  }
}

variant beit_base_patch16_384 = beit_auto(table_image: 384, dim: 768, depth: 12, heads: 12) {
  preprocess = resize(sides(image), bicubic), normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "beit_base_patch16_384"
  }
}

variant beit_large_patch16_224 = beit_auto(dim: 1024, depth: 24, heads: 16, layer_scale: 1e-5) {
  config timm {
    match "architecture" = "beit_large_patch16_224"
  }
}

variant beit_large_patch16_384 = beit_auto(
  table_image: 384,
  dim: 1024,
  depth: 24,
  heads: 16,
  layer_scale: 1e-5
) {
  preprocess = resize(sides(image), bicubic), normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "beit_large_patch16_384"
  }
}

variant beit_large_patch16_512 = beit_auto(
  table_image: 512,
  dim: 1024,
  depth: 24,
  heads: 16,
  layer_scale: 1e-5
) {
  preprocess = resize(sides(image), bicubic), normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "beit_large_patch16_512"
  }
}


variant beit_base_patch16_224_pt22k = beit_auto(
  dim: 768,
  depth: 12,
  heads: 12,
  relative: false,
  shared_relative: true,
  pooler: tokens
)
variant beit_large_patch16_224_pt22k = beit_auto(
  dim: 1024,
  depth: 24,
  heads: 16,
  layer_scale: 1e-5,
  relative: false,
  shared_relative: true,
  pooler: tokens
)

variant beitv2_base_patch16_224 = beit_auto(dim: 768, depth: 12, heads: 12, layer_scale: 1e-5) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "beitv2_base_patch16_224"
  }
}

variant beitv2_large_patch16_224 = beit_auto(dim: 1024, depth: 24, heads: 16, layer_scale: 1e-5) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "beitv2_large_patch16_224"
  }
}
`,
  clip: `



backbone clip_vit(
  table_image: int | [int] = 224,
  image: int | [int] = table_image,
  patch: int = 16,
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  hidden: int = 4 * dim,
  activation: quick_gelu | gelu = quick_gelu,
  eps: float = 1e-5,
  antialias: bool = false,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  side = sides(image)
  grid = floor(side / patch)
  table_grid = floor(sides(table_image) / patch)
  patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch, bias: false)
  cls_token = param [1, 1, dim] normal(0.02)
  pos_embed = param [1, 1 + table_grid[0] * table_grid[1], dim] normal(0.02)

  class_tokens = 1
  register_tokens = 0
  norm_pre = LayerNorm(dim, eps: eps)
  blocks = repeat i < depth {
    Block(
      dim,
      heads,
      hidden: hidden,
      eps: eps,
      activation: activation,
      drop: drop_rate(drop_path_rate, i, depth)
    )
  }
  levels = repeat i < min([4, depth]) { blocks[read_block(i, depth)] }
  level_dims = repeat i < min([4, depth]) { dim }
  level_axis = 2
  norm = LayerNorm(dim, eps: eps)
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = grid_tokens(patch_embed(pixels))
    place = positions(pos_embed, 1, table_grid, grid, filter: bicubic, antialias: antialias)
    t = blocks(norm_pre(concat(expand(cls_token, b), p, axis: 1) + place))
    concat(norm(t[:, 0..1]), t[:, 1..], axis: 1)
  }
}


variant clip_auto = clip_vit() {
  preprocess = resize(image, bicubic),
    crop(image),
    normalize(mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711])

  names timm {
    prefix "timm_model."
    unseen heads, activation, eps, antialias
    "patch_embed.proj" = patch_embed
    "head" = head.fc
  }

  names huggingface {
    prefix "vision_model."
    unseen heads, activation, eps
    ignore "*.position_ids", "text_model.*", "text_projection.*", "logit_scale"
    "vision_model.embeddings.class_embedding" = cls_token[0, 0]
    "vision_model.embeddings.position_embedding.weight" = pos_embed[0]
    "vision_model.embeddings.patch_embedding" = patch_embed
    "vision_model.pre_layrnorm" = norm_pre
    "vision_model.encoder.layers.{i}.layer_norm1" = blocks[i].norm1
    "vision_model.encoder.layers.{i}.self_attn.q_proj" = blocks[i].attn.qkv.q
    "vision_model.encoder.layers.{i}.self_attn.k_proj" = blocks[i].attn.qkv.k
    "vision_model.encoder.layers.{i}.self_attn.v_proj" = blocks[i].attn.qkv.v
    "vision_model.encoder.layers.{i}.self_attn.out_proj" = blocks[i].attn.proj
    "vision_model.encoder.layers.{i}.layer_norm2" = blocks[i].norm2
    "vision_model.encoder.layers.{i}.mlp" = blocks[i].mlp
    "vision_model.post_layernorm" = norm
    "visual_projection" = head.proj
    "classifier" = head.fc
    head "visual_projection" = embedding(base, dim: rows)
    head "classifier" = classify(base, pool: mean)
  }

  names openai {
    bypassed "*.attn.out_proj" = "in_proj_weight"
    unseen heads, activation, eps
    ignore "transformer.*",
      "token_embedding.*",
      "positional_embedding",
      "ln_final.*",
      "text_projection",
      "logit_scale",
      "logit_bias",
      "attn_mask",
      "text.*",
      "input_resolution",
      "context_length",
      "vocab_size"
    "visual.class_embedding" = cls_token[0, 0]
    "visual.positional_embedding" = pos_embed[0]
    "visual.conv1" = patch_embed
    "visual.ln_pre" = norm_pre
    "visual.transformer.resblocks.{i}.ln_1" = blocks[i].norm1
    "visual.transformer.resblocks.{i}.attn.in_proj_weight" = blocks[i].attn.qkv.weight
    "visual.transformer.resblocks.{i}.attn.in_proj_bias" = blocks[i].attn.qkv.bias
    "visual.transformer.resblocks.{i}.attn.out_proj" = blocks[i].attn.proj
    "visual.transformer.resblocks.{i}.ln_2" = blocks[i].norm2
    "visual.transformer.resblocks.{i}.mlp.c_fc" = blocks[i].mlp.fc1
    "visual.transformer.resblocks.{i}.mlp.c_proj" = blocks[i].mlp.fc2
    "visual.ln_post" = norm
    "visual.proj" = head.proj.weight.T
  }

  config huggingface {
    match "model_type" = "clip", "clip_vision_model"
    table_image = square("vision_config.image_size") or square("image_size") or 224
    patch = square("vision_config.patch_size") or square("patch_size") or 32
    channels = count("vision_config.num_channels") or count("num_channels") or 3
    dim = count("vision_config.hidden_size") or count("hidden_size") or 768
    depth = count("vision_config.num_hidden_layers") or count("num_hidden_layers") or 12
    heads = count("vision_config.num_attention_heads") or count("num_attention_heads") or 12
    hidden = count("vision_config.intermediate_size") or count("intermediate_size") or 3072
    activation = "vision_config.hidden_act" or "hidden_act" or quick_gelu
    eps = amount("vision_config.layer_norm_eps") or amount("layer_norm_eps") or 1e-5
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["CLIPForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "vit_*_clip_*"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "token", none
    match "model_args.pre_norm" = true, none
    sizes "architecture"
    only "model_args" = "num_classes",
      "*drop*rate",
      "weight_init",
      "fix_init",
      "strict_img_size",
      "dynamic_img_*"
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim = count("model_args.embed_dim")
    depth = count("model_args.depth")
    heads = count("model_args.num_heads")
    antialias = true
    activation = word("model_args.act_layer")
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "CLIPImageProcessor*",
      "CLIPFeatureExtractor*",
      none

    oblong = image == sides(image)
    given = "size" or {shortest_edge: 224}
    cut = "crop_size" or 224
    set "size" = if oblong { sized(image) } else { given }
    set "crop_size" = if oblong { sized(image) } else { cut }
    "default_to_square" = false
    "do_center_crop" = true
    "resample" = 3
    "image_mean" = [0.48145466, 0.4578275, 0.40821073]
    "image_std" = [0.26862954, 0.26130258, 0.27577711]
  }
}

variant clip_vit_base_patch32 = clip_auto(patch: 32, dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch32_clip_quickgelu_224"
  }
}

variant clip_vit_base_patch16 = clip_auto(patch: 16, dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch16_clip_quickgelu_224"
  }
}

variant clip_vit_large_patch14 = clip_auto(patch: 14, dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch14_clip_quickgelu_224",
      "vit_large_patch14_clip_quickgelu_336"
  }
}

variant clip_vit_large_patch14_336 = clip_auto(
  table_image: 336,
  patch: 14,
  dim: 1024,
  depth: 24,
  heads: 16
)



variant clip_vit_base_patch32_gelu = clip_auto(
  patch: 32,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_base_patch32_clip_224",
      "vit_base_patch32_clip_256",
      "vit_base_patch32_clip_384",
      "vit_base_patch32_clip_448"
  }
}

variant clip_vit_base_patch16_gelu = clip_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_base_patch16_clip_224", "vit_base_patch16_clip_384"
  }
}

variant clip_vit_base_patch16_plus = clip_auto(
  table_image: 240,
  patch: 16,
  dim: 896,
  depth: 12,
  heads: 14,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_base_patch16_plus_clip_240"
  }
}

variant clip_vit_large_patch14_gelu = clip_auto(
  patch: 14,
  dim: 1024,
  depth: 24,
  heads: 16,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_large_patch14_clip_224", "vit_large_patch14_clip_336"
  }
}

variant clip_vit_huge_patch14 = clip_auto(
  patch: 14,
  dim: 1280,
  depth: 32,
  heads: 16,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_huge_patch14_clip_224",
      "vit_huge_patch14_clip_336",
      "vit_huge_patch14_clip_378"
  }
}

variant clip_vit_huge_patch14_quick = clip_auto(
  patch: 14,
  dim: 1280,
  depth: 32,
  heads: 16,
  activation: quick_gelu
) {
  config timm {
    match "architecture" = "vit_huge_patch14_clip_quickgelu_224",
      "vit_huge_patch14_clip_quickgelu_378"
  }
}

variant clip_vit_giant_patch14 = clip_auto(
  patch: 14,
  dim: 1408,
  depth: 40,
  heads: 16,
  hidden: 6144,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_giant_patch14_clip_224"
  }
}

variant clip_vit_gigantic_patch14 = clip_auto(
  patch: 14,
  dim: 1664,
  depth: 48,
  heads: 16,
  hidden: 8192,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_gigantic_patch14_clip_224", "vit_gigantic_patch14_clip_378"
  }
}

variant clip_vit_gigantic_patch14_quick = clip_auto(
  patch: 14,
  dim: 1664,
  depth: 48,
  heads: 16,
  hidden: 8192,
  activation: quick_gelu
) {
  config timm {
    match "architecture" = "vit_gigantic_patch14_clip_quickgelu_224"
  }
}



variant clip_vit_xsmall_patch16 = clip_auto(
  patch: 16,
  dim: 256,
  depth: 10,
  heads: 4,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_xsmall_patch16_clip_224"
  }
}

variant clip_vit_medium_patch32 = clip_auto(
  patch: 32,
  dim: 512,
  depth: 12,
  heads: 8,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_medium_patch32_clip_224"
  }
}

variant clip_vit_medium_patch16 = clip_auto(
  patch: 16,
  dim: 512,
  depth: 12,
  heads: 8,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_medium_patch16_clip_224"
  }
}

variant clip_vit_betwixt_patch32 = clip_auto(
  patch: 32,
  dim: 640,
  depth: 12,
  heads: 10,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_betwixt_patch32_clip_224"
  }
}
`,
  convnext: `



module GlobalResponseNorm(dim: int) {
  weight = param [dim] zeros
  bias = param [dim] zeros
  forward(x: [b, h, w, dim]) {
    strength = sqrt(sum(x * x, axis: [1, 2], keep: true))
    x + weight * (x * (strength / (mean(strength, axis: 3, keep: true) + 1e-6))) + bias
  }
}

module ConvNextBlock(
  dim: int,
  layer_scale: float = 1e-6,
  drop: float = 0,
  normed: bool = false,
  eps: float = 1e-6,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu
) {
  dwconv = Conv2d(dim -> dim, kernel: 7, padding: 3, groups: dim)
  norm = LayerNorm(dim, eps: eps)
  pwconv1 = Linear(dim -> 4 * dim)
  pwconv2 = Linear(4 * dim -> dim)
  if layer_scale > 0 { gamma = param [dim] layer_scale }
  if normed { grn = GlobalResponseNorm(4 * dim) }

  site activate(x: [b, h, w, 4 * dim]) = activated(x, activation)
  site mlp(x: [b, h, w, dim]) = if normed {
    pwconv2(grn(activate(pwconv1(x))))
  } else {
    pwconv2(activate(pwconv1(x)))
  }
  site branch(x: [b, h, w, dim]) = mlp(norm(x))
  forward(x: [b, dim, h, w]) {
    y = branch(channels_last(dwconv(x)))
    z = channels_first(if layer_scale > 0 { gamma * y } else { y })
    x + drop_path(z, drop)
  }
}


module ConvNextStage(
  in: int,
  out: int,
  depth: int,
  halves: bool,
  layer_scale: float,
  normed: bool = false,
  drop: float = 0,
  before: int = 0,
  all: int = depth,
  eps: float = 1e-6,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu
) {
  if halves {
    norm = LayerNorm(in, eps: eps)
    downsample = Conv2d(in -> out, kernel: 2, stride: 2)
  }
  blocks = repeat i < depth {
    ConvNextBlock(
      out,
      layer_scale: layer_scale,
      normed: normed,
      drop: drop_rate(drop, before + i, all),
      eps: eps,
      activation: activation
    )
  }
  forward(x: [b, in, h, w]) {
    if halves { blocks(downsample(channels_first(norm(channels_last(x))))) } else { blocks(x) }
  }
}




backbone convnext(
  usual_image: int = 224,
  image: int | [int] = usual_image,
  patch: int = 4,
  channels: int = 3,
  dims: [int],
  depths: [int],
  number: int = size(depths),
  layer_scale: float = 1e-6,
  normed: bool = false,
  norm_eps: float = 1e-6,
  eps: float = norm_eps,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu,
  norm_first: bool = false,
  norm_all: bool = false,
  head_hidden: int = 0,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(number >= 1, "there must be at least one stage")
  require(
    head_hidden == 0 or head_hidden == dims[number - 1] and not norm_first,
    "head_hidden is 0, or as many as the last stage's channels after pooling and its norm"
  )
  require(
    not norm_all or not norm_first and head_hidden == 0,
    "norm_all is for a model that norms its mean, and has nothing behind that"
  )
  require(min([size(dims), size(depths)]) >= number, "each stage needs a width and a depth")
  side = sides(image)
  stem = Conv2d(channels -> dims[0], kernel: patch, stride: patch)
  stem_norm = LayerNorm(dims[0], eps: norm_eps)
  stages = repeat s < number {
    ConvNextStage(
      dims[max([s - 1, 0])],
      dims[s],
      depths[s],
      halves: s > 0,
      layer_scale: layer_scale,
      normed: normed,
      drop: drop_path_rate,
      before: sum(r < s: depths[r]),
      all: sum(r < number: depths[r]),
      eps: norm_eps,
      activation: activation
    )
  }
  levels = repeat s < number { stages[s] }
  level_dims = repeat s < number { dims[s] }
  level_axis = 1
  dim = dims[number - 1]
  norm = LayerNorm(dim, eps: eps)
  if head_hidden > 0 { pre_logits = Linear(dim -> dim) }

  class_tokens = 1
  register_tokens = 0
  forward(pixels: [b, channels, side[0], side[1]]) {
    t = stages(channels_first(stem_norm(channels_last(stem(pixels)))))
    p = grid_tokens(t)
    patches = if norm_first { norm(p) } else { p }
    average = mean(patches, axis: 1, keep: true)
    if norm_all {
      norm(concat(average, patches, axis: 1))
    } else {
      pooled = if norm_first { average } else { norm(average) }
      concat(if head_hidden > 0 { gelu(pre_logits(pooled)) } else { pooled }, patches, axis: 1)
    }
  }
}


variant convnext_auto = convnext() {
  preprocess = resize(floor((image * 256) / 224), bicubic),
    crop(image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names timm_conv {
    prefix "timm_model."
    unseen norm_eps, eps, activation, norm_first
    "stem.0" = stem
    "stem.1" = stem_norm
    optional "stages.{s}.downsample.0" = stages[s].norm
    optional "stages.{s}.downsample.1" = stages[s].downsample
    "stages.{s}.blocks.{i}.conv_dw" = stages[s].blocks[i].dwconv
    "stages.{s}.blocks.{i}.norm" = stages[s].blocks[i].norm
    "stages.{s}.blocks.{i}.mlp.fc1.weight" = stages[s].blocks[i].pwconv1.weight[:, :, new, new]
    "stages.{s}.blocks.{i}.mlp.fc1.bias" = stages[s].blocks[i].pwconv1.bias
    "stages.{s}.blocks.{i}.mlp.fc2.weight" = stages[s].blocks[i].pwconv2.weight[:, :, new, new]
    "stages.{s}.blocks.{i}.mlp.fc2.bias" = stages[s].blocks[i].pwconv2.bias
    optional "stages.{s}.blocks.{i}.mlp.grn" = stages[s].blocks[i].grn
    optional "stages.{s}.blocks.{i}.gamma" = stages[s].blocks[i].gamma
    "head.norm" or "norm_pre" = norm
    optional "head.pre_logits.fc" = pre_logits
    "head.fc" = head.fc
  }
  names timm {
    prefix "timm_model."
    unseen norm_eps, eps, activation, norm_first
    "stem.0" = stem
    "stem.1" = stem_norm
    optional "stages.{s}.downsample.0" = stages[s].norm
    optional "stages.{s}.downsample.1" = stages[s].downsample
    "stages.{s}.blocks.{i}.conv_dw" = stages[s].blocks[i].dwconv
    "stages.{s}.blocks.{i}.norm" = stages[s].blocks[i].norm
    "stages.{s}.blocks.{i}.mlp.fc1" = stages[s].blocks[i].pwconv1
    "stages.{s}.blocks.{i}.mlp.fc2" = stages[s].blocks[i].pwconv2
    optional "stages.{s}.blocks.{i}.mlp.grn" = stages[s].blocks[i].grn
    optional "stages.{s}.blocks.{i}.gamma" = stages[s].blocks[i].gamma
    "head.norm" or "norm_pre" = norm
    optional "head.pre_logits.fc" = pre_logits
    "head.fc" = head.fc
  }
  names authors {
    unseen norm_eps, eps, activation, norm_first
    optional "downsample_layers.{s}.0" = stages[s].norm
    optional "downsample_layers.{s}.1" = stages[s].downsample
    "downsample_layers.0.0" = stem
    "downsample_layers.0.1" = stem_norm
    "stages.{s}.{i}.dwconv" = stages[s].blocks[i].dwconv
    "stages.{s}.{i}.norm" = stages[s].blocks[i].norm
    "stages.{s}.{i}.pwconv1" = stages[s].blocks[i].pwconv1
    "stages.{s}.{i}.pwconv2" = stages[s].blocks[i].pwconv2
    optional "stages.{s}.{i}.grn.gamma" = stages[s].blocks[i].grn.weight[new, new, new]
    optional "stages.{s}.{i}.grn.beta" = stages[s].blocks[i].grn.bias[new, new, new]
    optional "stages.{s}.{i}.gamma" = stages[s].blocks[i].gamma
    "norm" = norm
    "head" = head.fc
  }

  names huggingface {
    prefix "convnext."
    unseen eps, activation
    "convnext.embeddings.patch_embeddings" = stem
    "convnext.embeddings.layernorm" = stem_norm
    optional "convnext.encoder.stages.{s}.downsampling_layer.0" = stages[s].norm
    optional "convnext.encoder.stages.{s}.downsampling_layer.1" = stages[s].downsample
    "convnext.encoder.stages.{s}.layers.{i}.dwconv" = stages[s].blocks[i].dwconv
    "convnext.encoder.stages.{s}.layers.{i}.layernorm" = stages[s].blocks[i].norm
    "convnext.encoder.stages.{s}.layers.{i}.pwconv1" = stages[s].blocks[i].pwconv1
    "convnext.encoder.stages.{s}.layers.{i}.pwconv2" = stages[s].blocks[i].pwconv2
    optional "convnext.encoder.stages.{s}.layers.{i}.layer_scale_parameter" = stages[s].blocks[
      i
    ].gamma
    "convnext.layernorm" = norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "convnext"
    usual_image = square("image_size") or 224
    patch = square("patch_size") or 4
    channels = count("num_channels") or 3
    dims = "hidden_sizes" or [96, 192, 384, 768]
    depths = "depths" or [3, 3, 9, 3]
    number = count("num_stages") or 4
    layer_scale = "layer_scale_init_value" or 1e-6
    eps = amount("layer_norm_eps") or 1e-12
    activation = word(
      "hidden_act",
      gelu_python: gelu,
      gelu_new: gelu_tanh,
      gelu_fast: gelu_tanh,
      gelu_pytorch_tanh: gelu_tanh,
      swish: silu
    ) or gelu
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["ConvNextForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "convnext_*"
    sizes "architecture"
    only "model_args" = "num_classes", "*drop*rate", "head_init_scale", "conv_mlp"
    match "model_args.stem_type" = "patch", none
    match "model_args.norm_layer" = "layernorm", "layernorm2d", none
    match "model_args.kernel_sizes" = 7, none
    match "model_args.output_stride" = 32, none
    match "model_args.conv_bias" = true, none
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "avg", none
    usual_image = square("pretrained_cfg.input_size") or square("input_size")

    match "model_args.patch_size" = 4, 8, 16, none
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dims = "model_args.dims"
    depths = "model_args.depths"
    layer_scale = amount("model_args.ls_init_value")
    normed = "model_args.use_grn"
    norm_eps = amount("model_args.norm_eps")
    activation = word("model_args.act_layer", swish: silu)
    norm_first = "model_args.head_norm_first"
    head_hidden = count("model_args.head_hidden_size")
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }

  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "ConvNextImageProcessor*",
      "ConvNextFeatureExtractor*",
      none
    given = "size.shortest_edge" or "size" or 384

    edge = if usual_image == image { given } else { image }
    oblong = edge == sides(edge)
    cuts = max(sides(edge)) < 384
    share = "crop_pct" or 224 / 256
    "image_mean" = 0.5
    "image_std" = 0.5
    set "size" = if not cuts or oblong {
      sized(if cuts { floor(edge / share) } else { edge })
    } else {
      {shortest_edge: floor(edge / share)}
    }
    set "do_center_crop" = cuts
    set "crop_size" = sized(edge)
    set "crop_pct" = none
  }
}

variant convnext_atto = convnext_auto(dims: [40, 80, 160, 320], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnext_atto"
  }
}

variant convnext_femto = convnext_auto(dims: [48, 96, 192, 384], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnext_femto"
  }
}

variant convnext_pico = convnext_auto(dims: [64, 128, 256, 512], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnext_pico"
  }
}

variant convnext_nano = convnext_auto(dims: [80, 160, 320, 640], depths: [2, 2, 8, 2]) {
  config timm {
    match "architecture" = "convnext_nano"
  }
}

variant convnext_tiny = convnext_auto(dims: [96, 192, 384, 768], depths: [3, 3, 9, 3]) {
  config timm {
    match "architecture" = "convnext_tiny"
  }
}

variant convnext_tiny_hnf = convnext_auto(
  dims: [96, 192, 384, 768],
  depths: [3, 3, 9, 3],
  norm_first: true
) {
  config timm {
    match "architecture" = "convnext_tiny_hnf"
  }
}

variant convnext_small = convnext_auto(dims: [96, 192, 384, 768], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnext_small"
  }
}

variant convnext_base = convnext_auto(dims: [128, 256, 512, 1024], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnext_base"
  }
}

variant convnext_large = convnext_auto(dims: [192, 384, 768, 1536], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnext_large"
  }
}

variant convnext_large_mlp = convnext_auto(
  dims: [192, 384, 768, 1536],
  depths: [3, 3, 27, 3],
  head_hidden: 1536
) {
  config timm {
    match "architecture" = "convnext_large_mlp"
  }
}

variant convnext_xlarge = convnext_auto(dims: [256, 512, 1024, 2048], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnext_xlarge"
  }
}

variant convnext_xxlarge = convnext_auto(
  dims: [384, 768, 1536, 3072],
  depths: [3, 4, 30, 3],
  norm_eps: 1e-5
) {
  config timm {
    match "architecture" = "convnext_xxlarge"
  }
}
`,
  convnextv2: `


variant convnextv2_auto = convnext_auto(normed: true, layer_scale: 0) {

  names huggingface {
    prefix "convnextv2."
    unseen eps, activation
    "convnextv2.embeddings.patch_embeddings" = stem
    "convnextv2.embeddings.layernorm" = stem_norm
    optional "convnextv2.encoder.stages.{s}.downsampling_layer.0" = stages[s].norm
    optional "convnextv2.encoder.stages.{s}.downsampling_layer.1" = stages[s].downsample
    "convnextv2.encoder.stages.{s}.layers.{i}.dwconv" = stages[s].blocks[i].dwconv
    "convnextv2.encoder.stages.{s}.layers.{i}.layernorm" = stages[s].blocks[i].norm
    "convnextv2.encoder.stages.{s}.layers.{i}.pwconv1" = stages[s].blocks[i].pwconv1
    "convnextv2.encoder.stages.{s}.layers.{i}.pwconv2" = stages[s].blocks[i].pwconv2
    "convnextv2.encoder.stages.{s}.layers.{i}.grn.weight" = stages[s].blocks[i].grn.weight[
      new,
      new,
      new
    ]
    "convnextv2.encoder.stages.{s}.layers.{i}.grn.bias" = stages[s].blocks[i].grn.bias[
      new,
      new,
      new
    ]
    "convnextv2.layernorm" = norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "convnextv2"
    layer_scale = 0
    set "architectures" = ["ConvNextV2ForImageClassification"]
  }
  config timm {
    match "architecture" = "convnextv2_*"
    sizes "architecture"
  }
}

variant convnextv2_atto = convnextv2_auto(dims: [40, 80, 160, 320], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnextv2_atto"
  }
}

variant convnextv2_femto = convnextv2_auto(dims: [48, 96, 192, 384], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnextv2_femto"
  }
}

variant convnextv2_pico = convnextv2_auto(dims: [64, 128, 256, 512], depths: [2, 2, 6, 2]) {
  config timm {
    match "architecture" = "convnextv2_pico"
  }
}

variant convnextv2_nano = convnextv2_auto(dims: [80, 160, 320, 640], depths: [2, 2, 8, 2]) {
  config timm {
    match "architecture" = "convnextv2_nano"
  }
}

variant convnextv2_tiny = convnextv2_auto(dims: [96, 192, 384, 768], depths: [3, 3, 9, 3]) {
  config timm {
    match "architecture" = "convnextv2_tiny"
  }
}

variant convnextv2_small = convnextv2_auto(dims: [96, 192, 384, 768], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnextv2_small"
  }
}

variant convnextv2_base = convnextv2_auto(dims: [128, 256, 512, 1024], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnextv2_base"
  }
}

variant convnextv2_large = convnextv2_auto(dims: [192, 384, 768, 1536], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnextv2_large"
  }
}

variant convnextv2_huge = convnextv2_auto(dims: [352, 704, 1408, 2816], depths: [3, 3, 27, 3]) {
  config timm {
    match "architecture" = "convnextv2_huge"
  }
}
`,
  counting: `







function feature_map(x: tensor, axis: int, pixels: tensor, skipped: int = 0) {
  require(
    axis == 1 or axis == 2 or axis == 3,
    "channels lie on axis 1 or 3 of a map, or on axis 2 of tokens"
  )
  if axis == 1 {
    x
  } else {
    if axis == 3 {
      channels_first(x)
    } else {
      places = size(x, axis: 1) - skipped
      rows = floor(sqrt((places * size(pixels, axis: 2)) / size(pixels, axis: 3)) + 0.5)
      require(
        rows > 0 and places % rows == 0,
        "tokens that are read as a map are those of a grid of the pixels' shape"
      )
      rearrange(x[:, skipped..], "b (h w) d -> b d h w", h: rows)
    }
  }
}


function patches_of(x: tensor, patches: int) {
  require(
    size(x, axis: 2) % patches == 0 and size(x, axis: 3) % patches == 0,
    "patches must divide the height and the width of every level, in which all have as many patches"
  )
  rearrange(x, "b d (i h) (j w) -> (b i j) (h w) d", i: patches, j: patches)
}

function map_of(t: tensor, patches: int, height: int, width: int) = rearrange(
  t,
  "(b i j) (h w) d -> b d (i h) (j w)",
  i: patches,
  j: patches,
  h: height / patches,
  w: width / patches
)


module cross_attention(dim: int, heads: int = 4, scores: token | channel = token) {
  require(dim % heads == 0, "heads must divide dim")
  q = Linear(dim -> dim, bias: false)
  k = Linear(dim -> dim, bias: false)
  v = Linear(dim -> dim, bias: false)
  o = Linear(dim -> dim, bias: false)
  forward(x: [m, n, dim], y: [m, l, dim]) {
    queries = rearrange(q(x), "m n (h d) -> m h n d", h: heads)
    keys = rearrange(k(y), "m n (h d) -> m h n d", h: heads)
    values = rearrange(v(y), "m n (h d) -> m h n d", h: heads)
    mixed = if scores == token {
      attention(queries, keys, values)
    } else {
      values @ softmax((queries.T @ keys) / sqrt(n), axis: -1).T
    }
    o(rearrange(mixed, "m h n d -> m n (h d)"))
  }
}




module pqfa(dim: int, heads: int = 4, patches: int = 8, scores: token | channel = token) {
  coarse_asks = cross_attention(dim, heads: heads, scores: scores)
  fine_asks = cross_attention(dim, heads: heads, scores: scores)
  gamma_coarse = param [1] zeros
  gamma_fine = param [1] zeros
  forward(fine: [b, dim, fh, fw], coarse: [b, dim, ch, cw]) {
    asked = if scores == channel { resize(fine, [ch, cw]) } else { fine }
    answer = coarse_asks(patches_of(coarse, patches), patches_of(asked, patches))
    coarser = coarse + gamma_coarse * map_of(answer, patches, ch, cw)
    flipped = if scores == channel { resize(coarser, [fh, fw]) } else { coarser }
    back = fine_asks(patches_of(fine, patches), patches_of(flipped, patches))
    [fine + gamma_fine * map_of(back, patches, fh, fw), coarser]
  }
}


function normed_channels(norm: module, x: tensor, kind: layer | batch) = if kind == batch {
  norm(x)
} else {
  channels_first(norm(channels_last(x)))
}



module density_decoder(dim: int, norm: layer | batch = layer) {
  require(dim % 4 == 0, "the decoder halves its channels twice: dim must be divisible by 4")
  conv1 = Conv2d(dim -> dim / 2, kernel: 3, padding: 1, init: normal(0.01))
  conv2 = Conv2d(dim / 2 -> dim / 4, kernel: 3, padding: 1, init: normal(0.01))
  conv3 = Conv2d(dim / 4 -> 1, kernel: 1, init: normal(0.01))
  if norm == batch {
    norm1 = BatchNorm(dim / 2)
    norm2 = BatchNorm(dim / 4)
  } else {
    norm1 = LayerNorm(dim / 2)
    norm2 = LayerNorm(dim / 4)
  }
  forward(x: [b, dim, h, w]) {
    y = relu(normed_channels(norm1, conv1(x), norm))
    z = conv2(resize(y, [2 * h, 2 * w]))
    conv3(relu(normed_channels(norm2, z, norm)))
  }
}



module counting(
  base: module,
  taps: [module] = base.levels,
  dims: [int] = base.level_dims,
  axis: int = base.level_axis,
  dim: int = 256,
  heads: int = 4,
  patches: int = 8,
  scores: token | channel = token,
  norm: layer | batch = layer,
  scale: float = 100
) {
  n = size(taps)
  require(n >= 1, "a counting head reads one level at least")
  require(size(dims) == n, "dims says of each of the taps how many channels it has")
  require(scale > 0, "scale must be above 0")
  skipped = if axis == 2 { base.class_tokens + base.register_tokens } else { 0 }
  lateral = repeat i < n { Conv2d(dims[i] -> dim, kernel: 1) }
  flips = repeat i < n - 1 { pqfa(dim, heads: heads, patches: patches, scores: scores) }
  decoder = density_decoder(dim, norm: norm)
  forward(pixels) {
    read = tapped(base, pixels, taps)
    plain = repeat i < n { lateral[i](feature_map(read[i], axis, pixels, skipped)) }
    first = [size(plain[0], axis: 2), size(plain[0], axis: 3)]
    alike = min(
      i < n:
        if size(plain[i], axis: 2) == first[0] and size(plain[i], axis: 3) == first[1] {
          1
        } else {
          0
        }
    )
    grown = if alike == 1 and n > 1 { pow(2, n - 2) } else { 1 }
    maps = repeat i < n {
      resize(plain[i], [(first[0] * grown) / pow(2, i), (first[1] * grown) / pow(2, i)])
    }
    for i < n - 1 {
      k = n - 2 - i
      pair = flips[k](maps[k], maps[k + 1])
      maps = repeat j < n {
        if j == k { pair[0] } else { if j == k + 1 { pair[1] } else { maps[j] } }
      }
    }
    finest = [first[0] * grown, first[1] * grown]
    y = decoder(sum(i < n: resize(maps[i], finest)))
    density = resize(y, [size(pixels, axis: 2), size(pixels, axis: 3)]) / scale
    {density: density, count: sum(density, axis: [1, 2, 3])}
  }
}
`,
  deit: `


variant deit_auto = vit_auto() {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names huggingface {
    prefix "deit."
    unseen heads, eps, activation, position_antialias
    ignore "deit.pooler.*", "deit.embeddings.mask_token"
    optional "deit.embeddings.cls_token" = cls_token
    optional "deit.embeddings.distillation_token" = dist_token
    "deit.embeddings.position_embeddings" = pos_embed
    "deit.embeddings.patch_embeddings.projection" = patch_embed
    "deit.encoder.layer.{i}.layernorm_before"
      or "deit.layers.{i}.layernorm_before" = blocks[i].norm1
    "deit.encoder.layer.{i}.attention.attention.query"
      or "deit.layers.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "deit.encoder.layer.{i}.attention.attention.key"
      or "deit.layers.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "deit.encoder.layer.{i}.attention.attention.value"
      or "deit.layers.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "deit.encoder.layer.{i}.attention.output.dense"
      or "deit.layers.{i}.attention.o_proj" = blocks[i].attn.proj
    "deit.encoder.layer.{i}.layernorm_after" or "deit.layers.{i}.layernorm_after" = blocks[i].norm2
    "deit.encoder.layer.{i}.intermediate.dense" or "deit.layers.{i}.mlp.fc1" = blocks[i].mlp.fc1
    "deit.encoder.layer.{i}.output.dense" or "deit.layers.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "deit.layernorm" = norm
    "classifier" or "cls_classifier" = head.fc
    "distillation_classifier" = head.fc_dist
  }
  config huggingface {
    match "model_type" = "deit"
    distilled = word(
      "architectures.0",
      DeiTForImageClassificationWithTeacher: classifier,
      DeiTForImageClassification: token,
      DeiTForMaskedImageModeling: token,
      DeiTModel: token
    ) or token
    set "architectures" = ["DeiTForImageClassification"]
  }
  config timm {
    match "architecture" = "deit_*", "deit3_*"
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "DeiTImageProcessor*",
      "DeiTFeatureExtractor*",
      none
    given = "size" or {height: 256, width: 256}
    cut = "crop_size" or {height: 224, width: 224}
    given_side = "size.height" or "size.shortest_edge" or "size" or 256
    cut_side = "crop_size.height" or "crop_size.shortest_edge" or "crop_size" or 224

    moved = table_image != none and table_image != image
    side = floor((image * given_side) / cut_side)
    set "size" = if moved { sized(side) } else { given }
    set "crop_size" = if moved { sized(image) } else { cut }
    "default_to_square" = true
    "resample" = 3
    "do_center_crop" = true
    "image_mean" = 0.5
    "image_std" = 0.5
  }
}

variant deit_tiny_patch16 = deit_auto(patch: 16, dim: 192, depth: 12, heads: 3, distilled: none) {
  config timm {
    match "architecture" = "deit_tiny_patch16_224"
  }
}

variant deit_small_patch16 = deit_auto(patch: 16, dim: 384, depth: 12, heads: 6, distilled: none) {
  config timm {
    match "architecture" = "deit_small_patch16_224"
  }
}

variant deit_base_patch16 = deit_auto(patch: 16, dim: 768, depth: 12, heads: 12, distilled: none) {
  config timm {
    match "architecture" = "deit_base_patch16_224", "deit_base_patch16_384"
  }
}

variant deit_tiny_distilled_patch16 = deit_auto(
  patch: 16,
  dim: 192,
  depth: 12,
  heads: 3,
  distilled: classifier
) {
  config timm {
    match "architecture" = "deit_tiny_distilled_patch16_224"
  }
}

variant deit_small_distilled_patch16 = deit_auto(
  patch: 16,
  dim: 384,
  depth: 12,
  heads: 6,
  distilled: classifier
) {
  config timm {
    match "architecture" = "deit_small_distilled_patch16_224"
  }
}

variant deit_base_distilled_patch16 = deit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  distilled: classifier
) {
  config timm {
    match "architecture" = "deit_base_distilled_patch16_224", "deit_base_distilled_patch16_384"
  }
}



variant deit3_small_patch16 = deit_auto(
  patch: 16,
  dim: 384,
  depth: 12,
  heads: 6,
  no_embed_class: true,
  layer_scale: 1e-6
) {
  config timm {
    match "architecture" = "deit3_small_patch16_224", "deit3_small_patch16_384"
  }
}

variant deit3_medium_patch16 = deit_auto(
  patch: 16,
  dim: 512,
  depth: 12,
  heads: 8,
  no_embed_class: true,
  layer_scale: 1e-6
) {
  config timm {
    match "architecture" = "deit3_medium_patch16_224"
  }
}

variant deit3_base_patch16 = deit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  no_embed_class: true,
  layer_scale: 1e-6
) {
  config timm {
    match "architecture" = "deit3_base_patch16_224", "deit3_base_patch16_384"
  }
}

variant deit3_large_patch16 = deit_auto(
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16,
  no_embed_class: true,
  layer_scale: 1e-6
) {
  config timm {
    match "architecture" = "deit3_large_patch16_224", "deit3_large_patch16_384"
  }
}

variant deit3_huge_patch14 = deit_auto(
  patch: 14,
  dim: 1280,
  depth: 32,
  heads: 16,
  no_embed_class: true,
  layer_scale: 1e-6
) {
  config timm {
    match "architecture" = "deit3_huge_patch14_224"
  }
}
`,
  dinov2: `





backbone dinov2(
  table_image: int | [int] = 518,
  table_sized: bool = false,
  image: int | [int] = if table_sized { table_image } else { 224 },
  patch: int = 14,
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  mlp_ratio: float = 4,
  swiglu: bool = false,
  hidden: int = if swiglu {
    8 * ceil(floor((floor(mlp_ratio * dim) * 2) / 3) / 8)
  } else {
    floor(mlp_ratio * dim)
  },
  eps: float = 1e-6,
  qkv_bias: bool = true,
  registers: int = 0,
  class_position: bool = true,
  antialias: bool = registers > 0,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  require(registers >= 0, "registers must be at least 0")
  side = sides(image)
  grid = side / patch
  table_grid = floor(sides(table_image) / patch)
  placed = if class_position { 1 } else { 0 }
  patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch)
  cls_token = param [1, 1, dim] zeros
  if registers > 0 { reg_token = param [1, registers, dim] zeros }
  pos_embed = param [1, placed + table_grid[0] * table_grid[1], dim] normal(0.02)

  class_tokens = 1
  register_tokens = registers
  blocks = repeat i < depth {
    Block(
      dim,
      heads,
      hidden: hidden,
      eps: eps,
      qkv_bias: qkv_bias,
      layer_scale: 1e-5,
      gated: swiglu,
      drop: drop_rate(drop_path_rate, i, depth)
    )
  }
  levels = repeat i < min([4, depth]) { blocks[read_block(i, depth)] }
  level_dims = repeat i < min([4, depth]) { dim }
  level_axis = 2
  norm = LayerNorm(dim, eps: eps)
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = grid_tokens(patch_embed(pixels))
    place = positions(pos_embed, placed, table_grid, grid, filter: bicubic, antialias: antialias)
    t = p + place[:, placed..]
    c = if class_position { cls_token + place[:, 0..1] } else { cls_token }
    first = if registers > 0 { concat(c, reg_token, axis: 1) } else { c }
    norm(blocks(concat(expand(first, b), t, axis: 1)))
  }
}


variant dinov2_auto = dinov2() {
  preprocess = resize(floor((image * 256) / 224), bicubic),
    crop(image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names timm {
    prefix "timm_model."
    unseen heads, eps, antialias
    ignore "mask_token"
    optional "reg_token" or "register_tokens" = reg_token
    "patch_embed.proj" = patch_embed
    optional "blocks.{i}.mlp.w12" or "blocks.{i}.mlp.fc1" = blocks[i].mlp.w12
    optional "blocks.{i}.mlp.w3" or "blocks.{i}.mlp.fc2" = blocks[i].mlp.w3
    "head" = head.fc
  }

  names huggingface {
    prefix "dinov2."
    unseen heads, eps
    ignore "dinov2.embeddings.mask_token"
    "dinov2.embeddings.cls_token" = cls_token
    "dinov2.embeddings.position_embeddings" = pos_embed
    "dinov2.embeddings.patch_embeddings.projection" = patch_embed
    "dinov2.encoder.layer.{i}.norm1" = blocks[i].norm1
    "dinov2.encoder.layer.{i}.attention.attention.query"
      or "dinov2.encoder.layer.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "dinov2.encoder.layer.{i}.attention.attention.key"
      or "dinov2.encoder.layer.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "dinov2.encoder.layer.{i}.attention.attention.value"
      or "dinov2.encoder.layer.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "dinov2.encoder.layer.{i}.attention.output.dense"
      or "dinov2.encoder.layer.{i}.attention.o_proj" = blocks[i].attn.proj
    "dinov2.encoder.layer.{i}.layer_scale1.lambda1" = blocks[i].ls1.gamma
    "dinov2.encoder.layer.{i}.norm2" = blocks[i].norm2
    optional "dinov2.encoder.layer.{i}.mlp.fc1" = blocks[i].mlp.fc1
    optional "dinov2.encoder.layer.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "dinov2.encoder.layer.{i}.mlp.weights_in" = blocks[i].mlp.w12
    optional "dinov2.encoder.layer.{i}.mlp.weights_out"
      or "dinov2.encoder.layer.{i}.mlp.down_proj" = blocks[i].mlp.w3
    "dinov2.encoder.layer.{i}.layer_scale2.lambda1" = blocks[i].ls2.gamma
    "dinov2.layernorm" = norm
    "classifier" = head.fc
    head "classifier" = classify(base, pool: cls_mean)
  }
  names transformers5 {
    prefix "dinov2."
    unseen heads, eps
    ignore "dinov2.embeddings.mask_token"
    "dinov2.embeddings.cls_token" = cls_token
    "dinov2.embeddings.position_embeddings" = pos_embed
    "dinov2.embeddings.patch_embeddings.projection" = patch_embed
    "dinov2.encoder.layer.{i}.norm1" = blocks[i].norm1
    "dinov2.encoder.layer.{i}.attention.attention.query"
      or "dinov2.encoder.layer.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "dinov2.encoder.layer.{i}.attention.attention.key"
      or "dinov2.encoder.layer.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "dinov2.encoder.layer.{i}.attention.attention.value"
      or "dinov2.encoder.layer.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "dinov2.encoder.layer.{i}.attention.output.dense"
      or "dinov2.encoder.layer.{i}.attention.o_proj" = blocks[i].attn.proj
    "dinov2.encoder.layer.{i}.layer_scale1.lambda1" = blocks[i].ls1.gamma
    "dinov2.encoder.layer.{i}.norm2" = blocks[i].norm2
    optional "dinov2.encoder.layer.{i}.mlp.fc1" = blocks[i].mlp.fc1
    optional "dinov2.encoder.layer.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "dinov2.encoder.layer.{i}.mlp.gate_proj" = blocks[i].mlp.w12.gate
    optional "dinov2.encoder.layer.{i}.mlp.up_proj" = blocks[i].mlp.w12.up
    optional "dinov2.encoder.layer.{i}.mlp.down_proj" = blocks[i].mlp.w3
    "dinov2.encoder.layer.{i}.layer_scale2.lambda1" = blocks[i].ls2.gamma
    "dinov2.layernorm" = norm
    "classifier" = head.fc
    head "classifier" = classify(base, pool: cls_mean)
  }

  config huggingface {
    match "model_type" = "dinov2"
    match "hidden_act" = "gelu", none
    table_image = square("image_size") or 224
    patch = square("patch_size") or 14
    channels = count("num_channels") or 3
    dim = count("hidden_size") or 768
    depth = count("num_hidden_layers") or 12
    heads = count("num_attention_heads") or 12
    mlp_ratio = amount("mlp_ratio") or 4
    eps = amount("layer_norm_eps") or 1e-6
    qkv_bias = "qkv_bias" or true
    swiglu = "use_swiglu_ffn" or false
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["Dinov2ForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "vit_*_patch14_dinov2"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "token", none
    sizes "architecture"
    only "model_args" = "num_classes",
      "*drop*rate",
      "weight_init",
      "fix_init",
      "strict_img_size",
      "dynamic_img_*",
      "init_values"
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim = count("model_args.embed_dim")
    depth = count("model_args.depth")
    heads = count("model_args.num_heads")
    antialias = true
    table_sized = true
    qkv_bias = "model_args.qkv_bias"
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "BitImageProcessor*", none

    oblong = image == sides(image)
    given = "size" or {shortest_edge: 224}
    cut = "crop_size" or 224
    set "size" = if oblong { sized(image) } else { given }
    set "crop_size" = if oblong { sized(image) } else { cut }
    "default_to_square" = false
    "do_center_crop" = true
    "resample" = 3
    "image_mean" = [0.48145466, 0.4578275, 0.40821073]
    "image_std" = [0.26862954, 0.26130258, 0.27577711]
  }
}


variant dinov2_registers_auto = dinov2_auto() {
  names huggingface {
    prefix "dinov2_with_registers."
    unseen heads, eps
    ignore "dinov2_with_registers.embeddings.mask_token"
    "dinov2_with_registers.embeddings.cls_token" = cls_token
    "dinov2_with_registers.embeddings.position_embeddings" = pos_embed
    optional "dinov2_with_registers.embeddings.register_tokens" = reg_token
    "dinov2_with_registers.embeddings.patch_embeddings.projection" = patch_embed
    "dinov2_with_registers.encoder.layer.{i}.norm1" = blocks[i].norm1
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.query"
      or "dinov2_with_registers.encoder.layer.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.key"
      or "dinov2_with_registers.encoder.layer.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.value"
      or "dinov2_with_registers.encoder.layer.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "dinov2_with_registers.encoder.layer.{i}.attention.output.dense"
      or "dinov2_with_registers.encoder.layer.{i}.attention.o_proj" = blocks[i].attn.proj
    "dinov2_with_registers.encoder.layer.{i}.layer_scale1.lambda1" = blocks[i].ls1.gamma
    "dinov2_with_registers.encoder.layer.{i}.norm2" = blocks[i].norm2
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.fc1" = blocks[i].mlp.fc1
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.weights_in" = blocks[i].mlp.w12
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.weights_out"
      or "dinov2_with_registers.encoder.layer.{i}.mlp.down_proj" = blocks[i].mlp.w3
    "dinov2_with_registers.encoder.layer.{i}.layer_scale2.lambda1" = blocks[i].ls2.gamma
    "dinov2_with_registers.layernorm" = norm
    "classifier" = head.fc
    head "classifier" = classify(base, pool: cls_mean)
  }
  names transformers5 {
    prefix "dinov2_with_registers."
    unseen heads, eps
    ignore "dinov2_with_registers.embeddings.mask_token"
    "dinov2_with_registers.embeddings.cls_token" = cls_token
    "dinov2_with_registers.embeddings.position_embeddings" = pos_embed
    optional "dinov2_with_registers.embeddings.register_tokens" = reg_token
    "dinov2_with_registers.embeddings.patch_embeddings.projection" = patch_embed
    "dinov2_with_registers.encoder.layer.{i}.norm1" = blocks[i].norm1
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.query"
      or "dinov2_with_registers.encoder.layer.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.key"
      or "dinov2_with_registers.encoder.layer.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "dinov2_with_registers.encoder.layer.{i}.attention.attention.value"
      or "dinov2_with_registers.encoder.layer.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "dinov2_with_registers.encoder.layer.{i}.attention.output.dense"
      or "dinov2_with_registers.encoder.layer.{i}.attention.o_proj" = blocks[i].attn.proj
    "dinov2_with_registers.encoder.layer.{i}.layer_scale1.lambda1" = blocks[i].ls1.gamma
    "dinov2_with_registers.encoder.layer.{i}.norm2" = blocks[i].norm2
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.fc1" = blocks[i].mlp.fc1
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.gate_proj" = blocks[i].mlp.w12.gate
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.up_proj" = blocks[i].mlp.w12.up
    optional "dinov2_with_registers.encoder.layer.{i}.mlp.down_proj" = blocks[i].mlp.w3
    "dinov2_with_registers.encoder.layer.{i}.layer_scale2.lambda1" = blocks[i].ls2.gamma
    "dinov2_with_registers.layernorm" = norm
    "classifier" = head.fc
    head "classifier" = classify(base, pool: cls_mean)
  }
  config huggingface {
    match "model_type" = "dinov2_with_registers"
    patch = square("patch_size") or 16
    registers = "num_register_tokens" or 4
    set "architectures" = ["Dinov2WithRegistersForImageClassification"]
  }
  config timm {
    match "architecture" = "vit_*_patch14_reg4_dinov2"
    match "model_args.no_embed_class" = true, none
    registers = count("model_args.reg_tokens")
    class_position = false
  }
}

variant dinov2_small = dinov2_auto(dim: 384, depth: 12, heads: 6) {
  config timm {
    match "architecture" = "vit_small_patch14_dinov2"
  }
}

variant dinov2_base = dinov2_auto(dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch14_dinov2"
  }
}

variant dinov2_large = dinov2_auto(dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch14_dinov2"
  }
}

variant dinov2_giant = dinov2_auto(dim: 1536, depth: 40, heads: 24, swiglu: true) {
  config timm {
    match "architecture" = "vit_giant_patch14_dinov2"
  }
}

variant dinov2_registers_small = dinov2_registers_auto(
  registers: 4,
  dim: 384,
  depth: 12,
  heads: 6
) {
  config timm {
    match "architecture" = "vit_small_patch14_reg4_dinov2"
  }
}

variant dinov2_registers_base = dinov2_registers_auto(
  registers: 4,
  dim: 768,
  depth: 12,
  heads: 12
) {
  config timm {
    match "architecture" = "vit_base_patch14_reg4_dinov2"
  }
}

variant dinov2_registers_large = dinov2_registers_auto(
  registers: 4,
  dim: 1024,
  depth: 24,
  heads: 16
) {
  config timm {
    match "architecture" = "vit_large_patch14_reg4_dinov2"
  }
}

variant dinov2_registers_giant = dinov2_registers_auto(
  registers: 4,
  dim: 1536,
  depth: 40,
  heads: 24,
  swiglu: true
) {
  config timm {
    match "architecture" = "vit_giant_patch14_reg4_dinov2"
  }
}
`,
  dinov3: `



variant dinov3_auto = vit_auto(
  absolute: false,
  no_embed_class: true,
  rotary: centred,
  k_bias: false,
  pooled_norm: false
) {
  preprocess = resize(sides(image), bilinear),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names huggingface {
    unseen heads, eps, activation, rotary_base
    ignore "embeddings.mask_token"
    "embeddings.cls_token" = cls_token
    optional "embeddings.register_tokens" = reg_token
    "embeddings.patch_embeddings" = patch_embed
    "layer.{i}.norm1" or "model.layer.{i}.norm1" = blocks[i].norm1
    "layer.{i}.attention.q_proj" or "model.layer.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    optional "layer.{i}.attention.q_proj.bias"
      or "model.layer.{i}.attention.q_proj.bias" = blocks[i].attn.q_bias
    "layer.{i}.attention.k_proj" or "model.layer.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "layer.{i}.attention.v_proj" or "model.layer.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    optional "layer.{i}.attention.v_proj.bias"
      or "model.layer.{i}.attention.v_proj.bias" = blocks[i].attn.v_bias
    "layer.{i}.attention.o_proj" or "model.layer.{i}.attention.o_proj" = blocks[i].attn.proj
    optional "layer.{i}.layer_scale1.lambda1"
      or "model.layer.{i}.layer_scale1.lambda1" = blocks[i].ls1.gamma
    "layer.{i}.norm2" or "model.layer.{i}.norm2" = blocks[i].norm2
    optional "layer.{i}.mlp.up_proj" or "model.layer.{i}.mlp.up_proj" = blocks[i].mlp.fc1
    optional "layer.{i}.mlp.down_proj" or "model.layer.{i}.mlp.down_proj" = blocks[i].mlp.fc2
    optional "layer.{i}.mlp.gate_proj" or "model.layer.{i}.mlp.gate_proj" = blocks[i].mlp.w12.gate
    optional "layer.{i}.mlp.up_proj" or "model.layer.{i}.mlp.up_proj" = blocks[i].mlp.w12.up
    optional "layer.{i}.mlp.down_proj" or "model.layer.{i}.mlp.down_proj" = blocks[i].mlp.w3
    optional "layer.{i}.layer_scale2.lambda1"
      or "model.layer.{i}.layer_scale2.lambda1" = blocks[i].ls2.gamma
    "norm" = norm
  }

  config huggingface {
    match "model_type" = "dinov3_vit"
    match "key_bias" = false, none
    patch = square("patch_size") or 16
    dim = count("hidden_size") or 384
    heads = count("num_attention_heads") or 6
    hidden = count("intermediate_size") or 1536
    eps = amount("layer_norm_eps") or 1e-5
    qkv_bias = "query_bias" or true
    proj_bias = "proj_bias" or true

    layer_scale = 1
    gated = "use_gated_mlp" or false
    registers = "num_register_tokens" or 0
    rotary_base = amount("rope_theta") or 100
    set "architectures" = ["DINOv3ViTModel"]
  }
  config timm {
    match "architecture" = "vit_*_dinov3", "vit_*_dinov3_qkvb"
    registers = "model_args.num_reg_tokens"
    rotary_base = amount("model_args.rope_temperature")
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "DINOv3ViTImageProcessor*", none
    given = "size" or {height: 224, width: 224}

    set "size" = if table_image == none or table_image == image {
      given
    } else {
      sized(image)
    }
    "default_to_square" = true
    "resample" = 2
    "do_center_crop" = false
    "image_mean" = [0.485, 0.456, 0.406]
    "image_std" = [0.229, 0.224, 0.225]
  }
}


variant dinov3_published = dinov3_auto(registers: 4, layer_scale: 1e-5, eps: 1e-5, rotary_base: 100)

variant dinov3_tiny = dinov3_published(dim: 192, depth: 12, heads: 3) {
  config timm {
    match "architecture" = "vit_tiny_patch16_dinov3_qkvb"
  }
}

variant dinov3_small = dinov3_published(dim: 384, depth: 12, heads: 6) {
  config timm {
    match "architecture" = "vit_small_patch16_dinov3_qkvb"
  }
}

variant dinov3_small_plus = dinov3_published(dim: 384, depth: 12, heads: 6, gated: true) {
  config timm {
    match "architecture" = "vit_small_plus_patch16_dinov3_qkvb"
  }
}

variant dinov3_base = dinov3_published(dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch16_dinov3_qkvb"
  }
}

variant dinov3_large = dinov3_published(dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch16_dinov3_qkvb"
  }
}

variant dinov3_huge_plus = dinov3_published(dim: 1280, depth: 32, heads: 20, gated: true) {
  config timm {
    match "architecture" = "vit_huge_plus_patch16_dinov3_qkvb"
  }
}

variant dinov3_7b = dinov3_published(
  dim: 4096,
  depth: 40,
  heads: 32,
  mlp_ratio: 2,
  gated: true,
  qkv_bias: false
) {
  config timm {
    match "architecture" = "vit_7b_patch16_dinov3"
  }
}



variant dinov3_small_unbiased = dinov3_small(qkv_bias: false) {
  config timm {
    match "architecture" = "vit_small_patch16_dinov3"
  }
}

variant dinov3_small_plus_unbiased = dinov3_small_plus(qkv_bias: false) {
  config timm {
    match "architecture" = "vit_small_plus_patch16_dinov3"
  }
}

variant dinov3_base_unbiased = dinov3_base(qkv_bias: false) {
  config timm {
    match "architecture" = "vit_base_patch16_dinov3"
  }
}

variant dinov3_large_unbiased = dinov3_large(qkv_bias: false) {
  config timm {
    match "architecture" = "vit_large_patch16_dinov3"
  }
}

variant dinov3_huge_plus_unbiased = dinov3_huge_plus(qkv_bias: false) {
  config timm {
    match "architecture" = "vit_huge_plus_patch16_dinov3"
  }
}


variant dinov3_convnext_auto = convnext_auto(norm_all: true) {
  preprocess = resize(sides(image), bilinear),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names authors {
    ignore "norms.*"
    unseen norm_eps, eps, activation
    optional "downsample_layers.{s}.0" = stages[s].norm
    optional "downsample_layers.{s}.1" = stages[s].downsample
    "downsample_layers.0.0" = stem
    "downsample_layers.0.1" = stem_norm
    "stages.{s}.{i}.dwconv" = stages[s].blocks[i].dwconv
    "stages.{s}.{i}.norm" = stages[s].blocks[i].norm
    "stages.{s}.{i}.pwconv1" = stages[s].blocks[i].pwconv1
    "stages.{s}.{i}.pwconv2" = stages[s].blocks[i].pwconv2
    optional "stages.{s}.{i}.gamma" = stages[s].blocks[i].gamma
    "norm" = norm
  }

  names huggingface {
    unseen norm_eps, eps, activation
    "stages.0.downsample_layers.0" or "model.stages.0.downsample_layers.0" = stem
    "stages.0.downsample_layers.1" or "model.stages.0.downsample_layers.1" = stem_norm
    optional "stages.{s}.downsample_layers.0"
      or "model.stages.{s}.downsample_layers.0" = stages[s].norm
    optional "stages.{s}.downsample_layers.1"
      or "model.stages.{s}.downsample_layers.1" = stages[s].downsample
    "stages.{s}.layers.{i}.depthwise_conv"
      or "model.stages.{s}.layers.{i}.depthwise_conv" = stages[s].blocks[i].dwconv
    "stages.{s}.layers.{i}.layer_norm"
      or "model.stages.{s}.layers.{i}.layer_norm" = stages[s].blocks[i].norm
    "stages.{s}.layers.{i}.pointwise_conv1"
      or "model.stages.{s}.layers.{i}.pointwise_conv1" = stages[s].blocks[i].pwconv1
    "stages.{s}.layers.{i}.pointwise_conv2"
      or "model.stages.{s}.layers.{i}.pointwise_conv2" = stages[s].blocks[i].pwconv2
    optional "stages.{s}.layers.{i}.gamma"
      or "model.stages.{s}.layers.{i}.gamma" = stages[s].blocks[i].gamma
    "layer_norm" = norm
  }

  config huggingface {
    match "model_type" = "dinov3_convnext"
    usual_image = square("image_size") or 224
    channels = count("num_channels") or 3
    dims = "hidden_sizes" or [96, 192, 384, 768]
    depths = "depths" or [3, 3, 9, 3]
    layer_scale = amount("layer_scale_init_value") or 1e-6
    norm_eps = amount("layer_norm_eps") or 1e-6
    activation = word(
      "hidden_act",
      gelu_python: gelu,
      gelu_new: gelu_tanh,
      gelu_fast: gelu_tanh,
      gelu_pytorch_tanh: gelu_tanh,
      swish: silu
    ) or gelu
    set "architectures" = ["DINOv3ConvNextModel"]
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "DINOv3ViTImageProcessor*", none
    given = "size" or {height: 224, width: 224}

    set "size" = if usual_image == image { given } else { sized(image) }
    "default_to_square" = true
    "resample" = 2
    "do_center_crop" = false
    "image_mean" = [0.485, 0.456, 0.406]
    "image_std" = [0.229, 0.224, 0.225]
  }
}

variant dinov3_convnext_tiny = dinov3_convnext_auto(dims: [96, 192, 384, 768], depths: [3, 3, 9, 3])
variant dinov3_convnext_small = dinov3_convnext_auto(
  dims: [96, 192, 384, 768],
  depths: [3, 3, 27, 3]
)
variant dinov3_convnext_base = dinov3_convnext_auto(
  dims: [128, 256, 512, 1024],
  depths: [3, 3, 27, 3]
)
variant dinov3_convnext_large = dinov3_convnext_auto(
  dims: [192, 384, 768, 1536],
  depths: [3, 3, 27, 3]
)
`,
  eva02: `




variant eva02_auto = vit_auto(rotary: counted, gated: true, k_bias: false) {
  preprocess = resize(if max(sides(image)) > 224 { image } else { floor(image / 0.9) }, bicubic),
    crop(image, even),
    normalize(mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711])

  names timm {
    prefix "timm_model."
    bypassed "*.attn.qkv" = "q_bias"
    unseen heads, eps, global_pool, rotary_grid, rotary_base
    ignore "rope.*", "*.rope.*", "mask_token"
    "patch_embed.proj" = patch_embed
    "blocks.{i}.mlp.w12" or "blocks.{i}.mlp.fc1" = blocks[i].mlp.w12
    "blocks.{i}.mlp.w3" or "blocks.{i}.mlp.fc2" = blocks[i].mlp.w3
    "head" = head.fc
  }
  names timm_apart {
    prefix "timm_model."
    unseen heads, eps, global_pool, rotary_grid, rotary_base
    ignore "rope.*", "*.rope.*", "mask_token"
    "patch_embed.proj" = patch_embed
    "blocks.{i}.attn.q_proj" = blocks[i].attn.qkv.q
    "blocks.{i}.attn.k_proj" = blocks[i].attn.qkv.k
    "blocks.{i}.attn.v_proj" = blocks[i].attn.qkv.v
    optional "blocks.{i}.attn.q_proj.bias" or "blocks.{i}.attn.q_bias" = blocks[i].attn.q_bias
    optional "blocks.{i}.attn.v_proj.bias" or "blocks.{i}.attn.v_bias" = blocks[i].attn.v_bias
    optional "blocks.{i}.attn.inner_attn_ln" or "blocks.{i}.attn.norm" = blocks[i].attn.norm
    "blocks.{i}.mlp.w1" or "blocks.{i}.mlp.fc1_g" = blocks[i].mlp.w12.gate
    "blocks.{i}.mlp.w2" or "blocks.{i}.mlp.fc1_x" = blocks[i].mlp.w12.up
    optional "blocks.{i}.mlp.ffn_ln" or "blocks.{i}.mlp.norm" = blocks[i].mlp.norm
    "blocks.{i}.mlp.w3" or "blocks.{i}.mlp.fc2" = blocks[i].mlp.w3
    "head" = head.fc
  }
  config timm {
    match "architecture" = "eva02_*"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "avg",
      "token",
      none
    mlp_norm = "model_args.scale_mlp"
    attn_norm = "model_args.scale_attn_inner"
    rotary_grid = square("model_args.ref_feat_shape")
    rotary_base = amount("model_args.rope_temperature")
    pooled_norm = "model_args.use_fc_norm"
  }
}

variant eva02_tiny_patch14 = eva02_auto(
  patch: 14,
  dim: 192,
  depth: 12,
  heads: 3,
  mlp_ratio: (4 * 2) / 3,
  rotary_grid: 16,
  global_pool: avg
) {
  config timm {
    match "architecture" = "eva02_tiny_patch14_224", "eva02_tiny_patch14_336"
  }
}

variant eva02_small_patch14 = eva02_auto(
  patch: 14,
  dim: 384,
  depth: 12,
  heads: 6,
  mlp_ratio: (4 * 2) / 3,
  rotary_grid: 16,
  global_pool: avg
) {
  config timm {
    match "architecture" = "eva02_small_patch14_224", "eva02_small_patch14_336"
  }
}

variant eva02_base_patch14 = eva02_auto(
  patch: 14,
  dim: 768,
  depth: 12,
  heads: 12,
  mlp_ratio: (4 * 2) / 3,
  mlp_norm: true,
  rotary_grid: 16,
  global_pool: avg
) {
  config timm {
    match "architecture" = "eva02_base_patch14_224", "eva02_base_patch14_448"
  }
}

variant eva02_large_patch14 = eva02_auto(
  patch: 14,
  dim: 1024,
  depth: 24,
  heads: 16,
  mlp_ratio: (4 * 2) / 3,
  mlp_norm: true,
  rotary_grid: 16,
  global_pool: avg
) {
  config timm {
    match "architecture" = "eva02_large_patch14_224", "eva02_large_patch14_448"
  }
}



variant eva02_base_patch16_clip = eva02_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  mlp_ratio: (4 * 2) / 3,
  attn_norm: true,
  mlp_norm: true,
  rotary_grid: 16
) {
  config timm {
    match "architecture" = "eva02_base_patch16_clip_224"
  }
}

variant eva02_large_patch14_clip = eva02_auto(
  patch: 14,
  dim: 1024,
  depth: 24,
  heads: 16,
  mlp_ratio: (4 * 2) / 3,
  attn_norm: true,
  mlp_norm: true,
  rotary_grid: 16
) {
  config timm {
    match "architecture" = "eva02_large_patch14_clip_224", "eva02_large_patch14_clip_336"
  }
}
`,
  grids: `

function channels_last(x: tensor) = rearrange(x, "b d h w -> b h w d")
function channels_first(x: tensor) = rearrange(x, "b h w d -> b d h w")


function grid_tokens(x: tensor) = rearrange(x, "b d h w -> b (h w) d")


function as_tokens(x: tensor) = rearrange(x, "b h w d -> b (h w) d")
function as_grid(t: tensor, rows: int) = rearrange(t, "b (h w) d -> b h w d", h: rows)


function four_as_one(x: tensor) = rearrange(x, "b (h i) (w j) d -> b h w (j i d)", i: 2, j: 2)


function with_mean(t: tensor) = concat(mean(t, axis: 1, keep: true), t, axis: 1)


module ConvNeck(in: int, out: int) {
  conv1 = Conv2d(in -> out, kernel: 1, bias: false)
  norm1 = LayerNorm(out, eps: 1e-6)
  conv2 = Conv2d(out -> out, kernel: 3, padding: 1, bias: false)
  norm2 = LayerNorm(out, eps: 1e-6)
  forward(x: [b, in, h, w]) {
    y = channels_first(norm1(channels_last(conv1(x))))
    channels_first(norm2(channels_last(conv2(y))))
  }
}
`,
  heads: `





module classify(base: module, pool: cls | mean | cls_mean = cls, classes: int | [string]) {
  require(size(classes) >= 1, "classify needs at least one class")
  require(
    pool == mean or base.class_tokens >= 1,
    "this backbone has no class token to classify by: write pool: mean"
  )
  first = base.class_tokens + base.register_tokens
  width = if pool == cls_mean { 2 * base.dim } else { base.dim }
  fc = Linear(width -> size(classes), init: normal(0.02))
  two = pool == cls and base.class_tokens == 2
  if two { fc_dist = Linear(width -> size(classes), init: normal(0.02)) }
  forward(pixels) {
    tokens = base(pixels)
    patches = mean(tokens[:, first..], axis: 1)
    pooled = if pool == cls_mean { concat(tokens[:, 0], patches, axis: 1) } else { patches }
    said = fc(if pool == cls { tokens[:, 0] } else { pooled })
    logits = if two { (said + fc_dist(tokens[:, 1])) / 2 } else { said }
    logits
  }
}


module embedding(base: module, pool: cls | mean | cls_mean = cls, dim: int | none = none) {
  require(
    pool == mean or base.class_tokens >= 1,
    "this backbone has no class token to pool by: write pool: mean"
  )
  first = base.class_tokens + base.register_tokens
  width = if pool == cls_mean { 2 * base.dim } else { base.dim }
  if dim != none { proj = Linear(width -> dim, bias: false, init: normal(0.02)) }
  forward(pixels) {
    tokens = base(pixels)
    patches = mean(tokens[:, first..], axis: 1)
    pooled = if pool == cls_mean { concat(tokens[:, 0], patches, axis: 1) } else { patches }
    vector = if pool == cls { tokens[:, 0] } else { pooled }
    embedding = if dim == none { vector } else { proj(vector) }
    embedding
  }
}
`,
  onnx: `





function onnx_wrap(x: tensor, least: int, most: int) = (x - least and most - least) + least


function onnx_mod(a: tensor, b: tensor) = a - b * floor_div(a, b)

function onnx_ceil(x: tensor) = -floor(-x)


function onnx_round(x: tensor) {
  low = floor(x)
  rest = x - low
  even = low - 2 * floor(0.5 * low)
  where(rest < 0.5, low, where(rest > 0.5, low + 1, low + even))
}

function onnx_square(x: tensor) = x * x


function onnx_half(x: tensor) = cast(cast(x, f16), f32)


function onnx_bfloat(x: tensor) {
  size = abs(x)
  part = size
  power = 1
  for i < 7 {
    step = pow(2, pow(2, 6 - i))
    large = part >= step
    small = part < 2 / step
    power = power * where(large, step, where(small, 1 / step, 1))
    part = part * where(large, 1 / step, where(small, step, 1))
  }
  near = sign(x) * onnx_round(part * 128) * (power / 128)
  held = where(size >= 3.3961775292304957e38, 2 * x, near)
  where(size > 3.4028234663852886e38, x, x + stop_gradient(held - x))
}

function onnx_tan(x: tensor) = sin(x) / cos(x)


function onnx_atan(x: tensor) {
  t = abs(x)
  inverse = t > 1
  a = where(inverse, 1 / t, t)
  h = a / (1 + sqrt(1 + a * a))
  q = h / (1 + sqrt(1 + h * h))
  e = q / (1 + sqrt(1 + q * q))
  z = e * e
  series = 1 - z * (1 / 3 - z * (1 / 5 - z * (1 / 7 - z * (1 / 9 - z * (1 / 11 - z / 13)))))
  angle = 8 * e * series
  sign(x) * where(inverse, 1.5707963267948966 - angle, angle)
}

function onnx_asin(x: tensor) = onnx_atan(x / sqrt((1 - x) * (1 + x)))

function onnx_acos(x: tensor) = 1.5707963267948966 - onnx_asin(x)

function onnx_sinh(x: tensor) = 0.5 * (exp(x) - exp(-x))

function onnx_cosh(x: tensor) = 0.5 * (exp(x) + exp(-x))

function onnx_asinh(x: tensor) = sign(x) * log(abs(x) + sqrt(x * x + 1))

function onnx_acosh(x: tensor) = log(x + sqrt((x - 1) * (x + 1)))

function onnx_atanh(x: tensor) = 0.5 * log((1 + x) / (1 - x))



function onnx_leaky_relu(x: tensor, alpha: float) = where(x < 0, alpha * x, x)

function onnx_prelu(x: tensor, slope: tensor) = where(x < 0, slope * x, x)

function onnx_thresholded_relu(x: tensor, alpha: float) = where(x > alpha, x, 0)

function onnx_elu(x: tensor, alpha: float) = where(x < 0, alpha * (exp(x) - 1), x)

function onnx_selu(x: tensor, alpha: float, gamma: float) = gamma * onnx_elu(x, alpha)

function onnx_celu(x: tensor, alpha: float) = maximum(x, 0) + minimum(
    alpha * (exp(x / alpha) - 1),
    0
  )

function onnx_hard_sigmoid(x: tensor, alpha: float, beta: float) = minimum(
  maximum(alpha * x + beta, 0),
  1
)

function onnx_hard_swish(x: tensor) = x * onnx_hard_sigmoid(x, 1 / 6, 0.5)

function onnx_softplus(x: tensor) = maximum(x, 0) + log(1 + exp(-abs(x)))

function onnx_mish(x: tensor) = x * tanh(onnx_softplus(x))

function onnx_softsign(x: tensor) = x / (1 + abs(x))

function onnx_shrink(x: tensor, bias: float, lambd: float) = where(
  x < -lambd,
  x + bias,
  where(x > lambd, x - bias, cast(0 * x, f32))
)

function onnx_quick_gelu(x: tensor, alpha: float) = x * sigmoid(alpha * x)



function onnx_mean_variance(x: tensor, axes: [int]) {
  d = x - mean(x, axis: axes, keep: true)
  d / (sqrt(mean(d * d, axis: axes, keep: true)) + 1e-9)
}

function onnx_lp_normalization(x: tensor, p: int, axis: int) {
  n = if p == 1 {
    sum(abs(x), axis: axis, keep: true)
  } else {
    sqrt(sum(x * x, axis: axis, keep: true))
  }
  x / where(n == 0, 1, n)
}


function onnx_local_response(x: tensor, width: int, alpha: float, beta: float, bias: float) {
  low = floor((width - 1) / 2)
  squares = pad(x * x, [0, low, 0], [0, width - 1 - low, 0])
  near = sum(k < width: onnx_every(squares[:, k..], 1, size(x, axis: 1)))
  x / pow(bias + (alpha / width) * near, beta)
}



function onnx_identity(n: int) = cast(table(i < n, j < n: i == j), f32)


function onnx_diagonal(rows: int, columns: int, k: int) = reshape(arange(columns), [1, columns]) ==
  reshape(arange(rows), [rows, 1]) + k


function onnx_triangle(x: tensor, k: int, upper: bool) {
  rows = size(x, axis: -2)
  columns = size(x, axis: -1)
  i = reshape(arange(rows), [rows, 1]) + k
  j = reshape(arange(columns), [1, columns])
  where(if upper { j >= i } else { j <= i }, x, 0 * x)
}


function onnx_whole_matmul(a: tensor, b: tensor) = sum(
  reshape(a, shape(a) + [1]) * reshape(b, onnx_inserted(shape(b), size(shape(b)) - 2)),
  axis: -2
)


function onnx_determinant(x: tensor) {
  y = x
  found = 1
  for k < size(x, axis: 1) {
    n = size(y, axis: 1)
    best = reshape(argmax(abs(y[:, :, 0]), axis: 1), [size(x, axis: 0), 1])
    chosen = (arange(n) == best)[:, :, new]
    row = sum(where(chosen, y, 0), axis: 1)
    found = found * row[:, 0] * where(best[:, 0] == 0, 1, -1)
    others = where(chosen, y[:, 0..1], y)
    divisor = where(row[:, 0] == 0, 1, row[:, 0])[:, new, new]
    y = if n > 1 {
      others[:, 1.., 1..] - (others[:, 1.., 0..1] * row[:, new, 1..]) / divisor
    } else {
      y
    }
  }
  found
}



function onnx_quantize(x: tensor, scale: tensor, zero: tensor, least: int, most: int) = cast(
  minimum(maximum(onnx_round(x / scale) + cast(zero, f32), least), most),
  i32
)


function onnx_requantize(
  x: tensor,
  from: tensor,
  scale: tensor,
  zero: tensor,
  least: int,
  most: int
) = onnx_quantize(cast(x, f32) * from, scale, zero, least, most)


function onnx_dynamic_quantize(x: tensor) {
  low = minimum(min(x), 0)
  high = maximum(max(x), 0)
  scale = (high - low) / 255
  held = where(scale == 0, 1, scale)
  zero = cast(minimum(maximum(onnx_round(0 - low / held), 0), 255), i32)
  [onnx_quantize(x, held, zero, 0, 255), scale, zero]
}




function onnx_class_loss(
  log_shares: tensor,
  target: tensor,
  weights: tensor,
  ignored: int | none,
  reduction: none | mean | sum
) {
  n = size(log_shares, axis: 0)
  classes = size(log_shares, axis: 1)
  places = size(log_shares, axis: 2)
  hot = reshape(target, [n, 1, places]) == reshape(arange(classes), [1, classes, 1])
  share = where(hot, reshape(weights, [1, classes, 1]), 0)
  kept = if ignored == none { share } else { where(target[:, new] == ignored, 0, share) }
  terms = -sum(kept * where(hot, log_shares, 0), axis: 1)
  if reduction == mean {
    sum(terms) / sum(kept)
  } else if reduction == sum {
    sum(terms)
  } else {
    terms
  }
}
`,
  onnx_axes: `




function onnx_count(shape: [int], from: int, to: int) {
  n = 1
  for i < to - from {
    n = n * shape[from + i]
  }
  n
}


function onnx_with(shape: [int], axis: int, length: int) {
  to = []
  for i < size(shape) {
    to = to + [if i == axis { length } else { shape[i] }]
  }
  to
}


function onnx_inserted(shape: [int], axis: int) {
  to = []
  for i < size(shape) {
    to = if i == axis { to + [1, shape[i]] } else { to + [shape[i]] }
  }
  to
}


function onnx_line(x: tensor, axis: int) = reshape(
  x,
  [
    onnx_count(shape(x), 0, axis),
    size(x, axis: axis),
    onnx_count(shape(x), axis + 1, size(shape(x)))
  ]
)

function onnx_unline(line: tensor, shape: [int], axis: int) = reshape(
  line,
  onnx_with(shape, axis, size(line, axis: 1))
)




function onnx_places(at: tensor, length: int) = where(at < 0, at + length, at)


function onnx_every(
  x: tensor,
  step: int,
  count: int = floor((size(x, axis: 1) + step - 1) / step)
) {
  n = size(x, axis: 1)
  whole = if n < count * step {
    pad(x, [0, 0, 0], [0, count * step - n, 0])
  } else {
    x[:, 0..count * step]
  }
  if step == 1 {
    whole
  } else {
    reshape(whole, [size(x, axis: 0), count, step, size(x, axis: 2)])[:, :, 0]
  }
}


function onnx_product(x: tensor) {
  y = x
  for turn < 32 {
    n = size(y, axis: 1)
    half = floor((n + 1) / 2)
    y = if n == 1 {
      y
    } else if n % 2 == 0 {
      y[:, 0..half] * y[:, half..]
    } else {
      concat(y[:, 0..half - 1] * y[:, half..], y[:, half - 1..half], axis: 1)
    }
  }
  y
}


function onnx_cumulative(x: tensor, exclusive: bool, reversed: bool) {
  n = size(x, axis: 1)
  y = if reversed { reverse(x, [1]) } else { x }
  for turn < 31 {
    far = pow(2, turn)
    y = if far < n { y + pad(y[:, 0..n - far], [0, far, 0], [0, 0, 0]) } else { y }
  }
  z = if not exclusive {
    y
  } else if n == 1 {
    y - y
  } else {
    pad(y[:, 0..n - 1], [0, 1, 0], [0, 0, 0])
  }
  if reversed { reverse(z, [1]) } else { z }
}

function onnx_variance(x: tensor, axes: [int]) {
  d = x - mean(x, axis: axes, keep: true)
  mean(d * d, axis: axes)
}

function onnx_log_sum_exp(x: tensor, axes: [int], keep: bool) {
  top = stop_gradient(max(x, axis: axes, keep: true))
  held = where(abs(top) > 3.4028234663852886e38, 0, top)
  log(sum(exp(x - held), axis: axes, keep: keep)) + if keep { held } else { sum(held, axis: axes) }
}

function onnx_log_softmax(x: tensor, axis: int) {
  y = x - stop_gradient(max(x, axis: axis, keep: true))
  y - log(sum(exp(y), axis: axis, keep: true))
}


function onnx_hardmax(x: tensor) {
  last = size(shape(x)) - 1
  cast(reshape(argmax(x, axis: -1), onnx_with(shape(x), last, 1)) == arange(size(x, axis: -1)), f32)
}
`,
  onnx_places: `




function onnx_scatter(
  x: tensor,
  at: tensor,
  updates: tensor,
  reduction: none | add | mul | max | min
) {
  length = size(x, axis: 0)
  count = size(updates, axis: 0)
  flat = onnx_places(reshape(at, [count]), length)
  if reduction == add {
    x + scatter_add(updates, flat, axis: 0, size: length)
  } else {

    meets = reshape(arange(length), [length, 1, 1]) == reshape(flat, [1, count, 1])
    if reduction == none {

      turn = reshape(arange(count), [1, count, 1])
      last = max(where(meets, turn, -1), axis: 1)
      where(last < 0, x, gather(updates, maximum(reshape(last, [length]), 0)))
    } else if reduction == max {
      maximum(x, max(where(meets, updates[new], -3.4028234663852886e38), axis: 1))
    } else if reduction == min {
      minimum(x, min(where(meets, updates[new], 3.4028234663852886e38), axis: 1))
    } else {
      x * onnx_product(where(meets, updates[new], 1))[:, 0]
    }
  }
}

function onnx_choose_truth(condition: tensor, then: tensor, otherwise: tensor) = condition and
  then or not condition and otherwise


function onnx_reverse_sequence(x: tensor, lengths: tensor) {
  sequences = size(x, axis: 0)
  steps = size(x, axis: 1)
  i = reshape(arange(steps), [1, steps])
  n = reshape(lengths, [sequences, 1])
  step = where(i < n, n - 1 - i, i)
  row = reshape(arange(sequences), [sequences, 1])
  gather(reshape(x, [sequences * steps, size(x, axis: 2)]), row * steps + step)
}




function onnx_reflected(x: tensor, low: float, high: float) {
  far = abs(x - low)
  span = high - low
  turn = floor(far / span)
  rest = far - turn * span
  where(turn - 2 * floor(0.5 * turn) == 0, low + rest, high - rest)
}


function onnx_held_place(
  x: tensor,
  size: int,
  padding: outside | border | reflection,
  align: bool
) = if padding == outside {
  x
} else if padding == border or size == 1 {
  minimum(maximum(x, 0), size - 1)
} else {
  minimum(
    maximum(
      if align {
        onnx_reflected(x, 0, size - 1)
      } else {
        onnx_reflected(x, -0.5, size - 0.5)
      },
      0
    ),
    size - 1
  )
}


function onnx_cubic(x: tensor) {
  t = abs(x)
  near = (1.25 * t - 2.25) * t * t + 1
  far = ((-0.75 * t + 3.75) * t - 6) * t + 3
  where(t < 1, near, where(t < 2, far, 0))
}


function onnx_grid_tap(
  rows: tensor,
  first: tensor,
  at: tensor,
  sizes: [int],
  tap: int,
  mode: linear | nearest | cubic,
  padding: outside | border | reflection,
  align: bool
) {
  rank = size(sizes)
  taps = if mode == nearest { 1 } else if mode == linear { 2 } else { 4 }
  rest = tap
  place = first
  weight = 1
  for i < rank {
    p = at[:, :, rank - 1 - i]
    own = rest % taps
    rest = floor(rest / taps)
    begin = if mode == nearest { p } else if mode == linear { floor(p) } else { floor(p) - 1 }
    t = begin + own
    inside = t >= 0 and t <= sizes[i] - 1
    share = if mode == nearest {
      1
    } else if mode == linear {
      1 - abs(p - t)
    } else {
      onnx_cubic(p - t)
    }
    weight = weight * if padding == outside { where(inside, share, 0 * t) } else { share }
    held = minimum(maximum(onnx_held_place(t, sizes[i], padding, align), 0), sizes[i] - 1)
    place = place + cast(held, i32) * onnx_count(sizes, i + 1, rank)
  }
  gather(rows, place) * if mode == nearest and padding != outside { 1 } else { weight[:, :, new] }
}


function onnx_grid_sample(
  x: tensor,
  grid: tensor,
  mode: linear | nearest | cubic,
  padding: outside | border | reflection,
  align: bool
) {
  n = size(x, axis: 0)
  rank = size(shape(x)) - 2
  sizes = shape(x)[2..]
  places = onnx_count(sizes, 0, rank)
  points = onnx_count(shape(grid), 1, rank + 1)
  given = reshape(grid, [n, points, rank])
  at = stack(
    i < rank: onnx_grid_axis(given[:, :, i], sizes[rank - 1 - i], mode, padding, align),
    axis: 2
  )
  lines = transpose(reshape(x, [n, size(x, axis: 1), places]), [0, 2, 1])
  rows = reshape(lines, [n * places, size(x, axis: 1)])
  first = reshape(arange(n), [n, 1]) * places
  taps = if mode == nearest { 1 } else if mode == linear { 2 } else { 4 }
  sampled = sum(
    tap < pow(taps, rank): onnx_grid_tap(rows, first, at, sizes, tap, mode, padding, align)
  )
  transpose(sampled, [0, 2, 1])
}

function onnx_grid_axis(
  g: tensor,
  size: int,
  mode: linear | nearest | cubic,
  padding: outside | border | reflection,
  align: bool
) {
  x = if align { 0.5 * (g + 1) * (size - 1) } else { 0.5 * ((g + 1) * size - 1) }
  onnx_held_place(if mode == nearest { onnx_round(x) } else { x }, size, padding, align)
}


function onnx_roi_align(
  x: tensor,
  rois: tensor,
  at: tensor,
  height: int,
  width: int,
  ratio: int,
  scale: float,
  half: bool
) {
  regions = size(rois, axis: 0)
  h = size(x, axis: 2)
  w = size(x, axis: 3)
  rows = sum(
    k < 2: onnx_roi_weights(rois[:, 1], rois[:, 3], h, height, ratio, scale, half, upper: k == 1)
  )
  columns = sum(
    k < 2: onnx_roi_weights(rois[:, 0], rois[:, 2], w, width, ratio, scale, half, upper: k == 1)
  )
  own = mean(reshape(rows, [regions, height, ratio, h]), axis: 2)
  across = mean(reshape(columns, [regions, width, ratio, w]), axis: 2)
  own[:, new] @ gather(x, at) @ transpose(across, [0, 2, 1])[:, new]
}


function onnx_roi_align_max(
  x: tensor,
  rois: tensor,
  at: tensor,
  height: int,
  width: int,
  ratio: int,
  scale: float,
  half: bool
) {
  picked = gather(x, at)
  largest = max(
    i < 2, j < 2:
      onnx_roi_weights(
        rois[:, 1],
        rois[:, 3],
        size(x, axis: 2),
        height,
        ratio,
        scale,
        half,
        upper: i == 1
      )[:, new] @ picked @ transpose(
          onnx_roi_weights(
            rois[:, 0],
            rois[:, 2],
            size(x, axis: 3),
            width,
            ratio,
            scale,
            half,
            upper: j == 1
          ),
          [0, 2, 1]
        )[:, new]
  )
  max(
    reshape(largest, [size(rois, axis: 0), size(x, axis: 1), height, ratio, width, ratio]),
    axis: [3, 5]
  )
}


function onnx_roi_weights(
  low: tensor,
  high: tensor,
  places: int,
  bins: int,
  ratio: int,
  scale: float,
  half: bool,
  upper: bool
) {
  start = scale * low - if half { 0.5 } else { 0 }
  given = scale * (high - low)
  length = if half { given } else { maximum(given, 1) }
  share = (cast(arange(bins * ratio), f32) + 0.5) / (bins * ratio)
  p = start[:, new] + length[:, new] * share
  there = p >= -1 and p <= places
  held = minimum(maximum(p, 0), places - 1)
  own = floor(held)
  rest = held - own
  place = if upper { minimum(own + 1, places - 1) } else { own }
  weight = where(there, if upper { rest } else { 1 - rest }, 0)
  where(cast(place, i32)[:, :, new] == arange(places), weight[:, :, new], 0)
}


function onnx_columns(
  x: tensor,
  image: [int],
  block: [int],
  stride: [int],
  dilation: [int],
  low: [int]
) = sum(
  k < onnx_count(block, 0, size(block)):
    onnx_column(x[:, :, k], k, image, block, stride, dilation, low)
)

function onnx_column(
  x: tensor,
  k: int,
  image: [int],
  block: [int],
  stride: [int],
  dilation: [int],
  low: [int]
) {
  y = x
  for i < size(image) {
    own = floor(k / onnx_count(block, i + 1, size(block))) % block[i]
    before = own * dilation[i] - low[i]
    reach = (size(x, axis: i + 2) - 1) * stride[i] + 1
    y = onnx_unline(
      onnx_spread(onnx_line(y, i + 2), stride[i], before, image[i] - reach - before),
      shape(y),
      i + 2
    )
  }
  y
}
`,
  onnx_windows: `





function onnx_conv1d(
  x: tensor,
  weight: tensor,
  bias: tensor | none = none,
  stride: [int],
  padding: [int],
  dilation: [int],
  groups: int
) {
  y = conv2d(
    rearrange(x, "n c w -> n c 1 w"),
    rearrange(weight, "o c w -> o c 1 w"),
    bias,
    stride: [1, stride[0]],
    padding: [0, padding[0], 0, padding[1]],
    dilation: [1, dilation[0]],
    groups: groups
  )
  rearrange(y, "n o 1 w -> n o w")
}


function onnx_conv3d(
  x: tensor,
  weight: tensor,
  bias: tensor | none = none,
  stride: [int],
  padding: [int],
  dilation: [int],
  groups: int,
  out: int
) {
  n = size(x, axis: 0)
  c = size(x, axis: 1)
  h = size(x, axis: 3)
  w = size(x, axis: 4)
  reach = (size(weight, axis: 2) - 1) * dilation[0]
  depth = max([size(x, axis: 2) + padding[0] + padding[3], (out - 1) * stride[0] + reach + 1])
  low = padding[0]
  full = pad(x, [0, 0, low, 0, 0], [0, 0, depth - low - size(x, axis: 2), 0, 0])
  planes = reshape(full, [n * c, depth, h * w])
  y = sum(
    k < size(weight, axis: 2):
      conv2d(
        rearrange(
          reshape(onnx_every(planes[:, k * dilation[0]..], stride[0], out), [n, c, out, h, w]),
          "n c d h w -> (n d) c h w"
        ),
        weight[:, :, k],
        stride: [stride[1], stride[2]],
        padding: [padding[1], padding[2], padding[4], padding[5]],
        dilation: [dilation[1], dilation[2]],
        groups: groups
      )
  )
  z = rearrange(y, "(n d) o h w -> n o d h w", d: out)
  if bias == none { z } else { z + reshape(bias, [size(weight, axis: 0), 1, 1, 1]) }
}


function onnx_whole_conv(
  x: tensor,
  weight: tensor,
  out: [int],
  stride: [int],
  dilation: [int],
  low: [int],
  high: [int],
  groups: int
) {
  n = size(x, axis: 0)
  c = size(weight, axis: 1)
  o = size(weight, axis: 0) / groups
  full = pad(x, [0, 0, low[0], low[1]], [0, 0, high[0], high[1]])
  kernel = reshape(weight, [groups, o, c, size(weight, axis: 2), size(weight, axis: 3), 1, 1])
  y = sum(
    i < size(weight, axis: 2), j < size(weight, axis: 3):
      sum(
        reshape(
          onnx_taken(
            onnx_taken(full, 2, i * dilation[0], stride[0], out[0]),
            3,
            j * dilation[1],
            stride[1],
            out[1]
          ),
          [n, groups, 1, c, out[0], out[1]]
        ) * kernel[:, :, :, i, j],
        axis: 3
      )
  )
  reshape(y, [n, groups * o, out[0], out[1]])
}


function onnx_spread(x: tensor, stride: int, before: int, after: int) {
  n = size(x, axis: 1)
  wide = if stride == 1 {
    x
  } else {
    reshape(
      pad(
        reshape(x, [size(x, axis: 0), n, 1, size(x, axis: 2)]),
        [0, 0, 0, 0],
        [0, 0, stride - 1, 0]
      ),
      [size(x, axis: 0), n * stride, size(x, axis: 2)]
    )[:, 0..(n - 1) * stride + 1]
  }
  onnx_held(wide, before, after)
}


function onnx_held(x: tensor, before: int, after: int) {
  low = max([before, 0])
  high = max([after, 0])
  y = pad(x, [0, low, 0], [0, high, 0])
  y[:, max([-before, 0])..size(y, axis: 1) - max([-after, 0])]
}


function onnx_conv_transpose(
  x: tensor,
  weight: tensor,
  bias: tensor | none = none,
  stride: [int],
  dilation: [int],
  low: [int],
  high: [int],
  groups: int
) {
  rank = size(stride)
  c = size(weight, axis: 0)
  o = size(weight, axis: 1)
  y = x
  turned = reshape(weight, [groups, c / groups] + shape(weight)[1..])
  order = [0, 2, 1]
  axes = []
  for i < rank {
    reach = (size(weight, axis: i + 2) - 1) * dilation[i]
    y = onnx_unline(
      onnx_spread(onnx_line(y, i + 2), stride[i], reach - low[i], reach - high[i]),
      shape(y),
      i + 2
    )
    order = order + [i + 3]
    axes = axes + [i + 2]
  }
  kernel = reverse(
    reshape(transpose(turned, order), [groups * o, c / groups] + shape(weight)[2..]),
    axes
  )
  if rank == 1 {
    onnx_conv1d(y, kernel, bias, stride: [1], padding: [0, 0], dilation: dilation, groups: groups)
  } else if rank == 2 {
    conv2d(y, kernel, bias, dilation: dilation, groups: groups)
  } else {
    onnx_conv3d(
      y,
      kernel,
      bias,
      stride: [1, 1, 1],
      padding: [0, 0, 0, 0, 0, 0],
      dilation: dilation,
      groups: groups,
      out: size(y, axis: 2) - (size(weight, axis: 2) - 1) * dilation[0]
    )
  }
}




function onnx_taken(x: tensor, axis: int, start: int, step: int, count: int) = onnx_unline(
  onnx_every(onnx_line(x, axis)[:, start..], step, count),
  shape(x),
  axis
)



function onnx_max_axis(
  x: tensor,
  out: int,
  kernel: int,
  stride: int,
  dilation: int,
  low: int,
  high: int,
  least: float
) {
  full = if low + high > 0 { pad(x, [0, low, 0], [0, high, 0], value: least) } else { x }
  if kernel > 8 and dilation == 1 and (out == 1 or stride == kernel) {
    max(
      reshape(full[:, 0..out * kernel], [size(x, axis: 0), out, kernel, size(x, axis: 2)]),
      axis: 2
    )
  } else {
    max(k < kernel: onnx_every(full[:, k * dilation..], stride, out))
  }
}

function onnx_max_pool(
  x: tensor,
  out: [int],
  kernel: [int],
  stride: [int],
  dilation: [int],
  low: [int],
  high: [int],
  least: float
) {
  y = x
  for i < size(out) {
    line = onnx_max_axis(
      onnx_line(y, i + 2),
      out[i],
      kernel[i],
      stride[i],
      dilation[i],
      low[i],
      high[i],
      least
    )
    y = onnx_unline(line, shape(y), i + 2)
  }
  y
}



function onnx_max_pool_places(
  x: tensor,
  places: tensor,
  out: [int],
  kernel: [int],
  stride: [int],
  dilation: [int],
  low: [int],
  high: [int],
  least: float
) {
  y = x
  p = places
  rank = size(out)
  for turn < rank {
    i = rank - 1 - turn
    a = i + 2
    values = pad(onnx_line(y, a), [0, low[i], 0], [0, high[i], 0], value: least)
    from = pad(onnx_line(p, a), [0, low[i], 0], [0, high[i], 0])
    best = onnx_every(values, stride[i], out[i])
    at = onnx_every(from, stride[i], out[i])
    for k < kernel[i] {
      next = onnx_every(values[:, k * dilation[i]..], stride[i], out[i])
      at = where(next > best, onnx_every(from[:, k * dilation[i]..], stride[i], out[i]), at)
      best = maximum(best, next)
    }
    p = onnx_unline(at, shape(p), a)
    y = onnx_unline(best, shape(y), a)
  }
  p
}

function onnx_sum_axis(
  x: tensor,
  out: int,
  kernel: int,
  stride: int,
  dilation: int,
  low: int,
  high: int
) {
  full = if low + high > 0 { pad(x, [0, low, 0], [0, high, 0]) } else { x }
  if kernel > 8 and dilation == 1 and (out == 1 or stride == kernel) {
    sum(
      reshape(full[:, 0..out * kernel], [size(x, axis: 0), out, kernel, size(x, axis: 2)]),
      axis: 2
    )
  } else {
    sum(k < kernel: onnx_every(full[:, k * dilation..], stride, out))
  }
}

function onnx_sum_pool(
  x: tensor,
  out: [int],
  kernel: [int],
  stride: [int],
  dilation: [int],
  low: [int],
  high: [int]
) {
  y = x
  for i < size(out) {
    line = onnx_sum_axis(
      onnx_line(y, i + 2),
      out[i],
      kernel[i],
      stride[i],
      dilation[i],
      low[i],
      high[i]
    )
    y = onnx_unline(line, shape(y), i + 2)
  }
  y
}

function onnx_power(x: tensor, p: int) = if p == 1 {
  abs(x)
} else if p == 2 {
  x * x
} else {
  pow(abs(x), p)
}

function onnx_root(x: tensor, p: int) = if p == 1 {
  x
} else if p == 2 {
  sqrt(x)
} else {
  pow(x, 1 / p)
}


function onnx_places_in(at: tensor, from: [int], to: [int]) {
  rest = at
  place = 0 * at
  for i < size(from) {
    step = onnx_count(from, i + 1, size(from))
    here = floor_div(rest, step)
    rest = rest - here * step
    place = place + here * onnx_count(to, i + 1, size(to))
  }
  place
}
`,
  positions: `



function positions(
  table: tensor,
  first: int,
  from: int | [int],
  to: int | [int],
  filter: bicubic | bilinear,
  antialias: bool
) = if sides(from) == sides(to) {
  table
} else {
  places = rearrange(table[:, first..], "n (h w) d -> n d h w", h: sides(from)[0])
  resampled = if filter == bicubic {
    resize(places, to, mode: bicubic, antialias: antialias)
  } else {
    resize(places, to, mode: bilinear, antialias: antialias)
  }
  rows = rearrange(resampled, "n d h w -> n (h w) d")
  if first > 0 { concat(table[:, 0..first], rows, axis: 1) } else { rows }
}


function sized(image: int | [int]) = {height: sides(image)[0], width: sides(image)[1]}


function placed(by_distance: tensor, grid: int | [int]) {
  rows = sides(grid)[0]
  columns = sides(grid)[1]
  down = table(i < rows, j < rows: i - j + rows - 1)
  across = table(i < columns, j < columns: i - j + columns - 1)
  by_place = gather(gather(by_distance, down, axis: 0), across, axis: 2)
  rearrange(by_place, "yi yj xi xj h -> 1 h (yi xi) (yj xj)")
}





module Rotary(
  dim: int,
  before: int,
  grid: int | [int],
  base: float,
  centred: bool,
  counted_in: int | [int]
) {
  require(
    dim % 4 == 0,
    "rotary positions turn pairs of two directions: 4 must divide the width of a head"
  )
  rows = sides(grid)[0]
  columns = sides(grid)[1]
  down = expand(turns(rows, sides(counted_in)[0], dim, base, centred)[:, new], columns, axis: 1)
  across = expand(turns(columns, sides(counted_in)[1], dim, base, centred)[new], rows)
  angles = pad(rearrange(concat(down, across, axis: 2), "y x j -> (y x) j"), [before, 0], [0, 0])
  cosines = paired(cos(angles), cos(angles), centred)
  sines = paired(-sin(angles), sin(angles), centred)
  forward(x: [b, h, n, dim]) { x * cosines + partners(x, centred) * sines }
}


function turns(length: int, counted_in: int, dim: int, base: float, centred: bool) = table(
  i < length, j < dim / 4:
    (if centred {
      6.283185307179586 * ((2 * i + 1) / length - 1)
    } else {
      (i * counted_in) / length
    }) / pow(base, (4 * j) / dim)
)


function paired(first: tensor, second: tensor, halves: bool) = if halves {
  concat(first, second, axis: 1)
} else {
  rearrange(concat(first[:, :, new], second[:, :, new], axis: 2), "n j two -> n (j two)")
}


function partners(x: tensor, halves: bool) = if halves {
  rearrange(
    reverse(rearrange(x, "b h n (two j) -> b h n two j", two: 2), [3]),
    "b h n two j -> b h n (two j)"
  )
} else {
  rearrange(
    reverse(rearrange(x, "b h n (j two) -> b h n j two", two: 2), [4]),
    "b h n j two -> b h n (j two)"
  )
}


function halved_range(range: [float], terms: int, total: int) {
  ratio = (range[0] + range[1]) / 2
  if (1 - pow(ratio, terms)) / (1 - ratio) > total { [range[0], ratio] } else { [ratio, range[1]] }
}

function halved_range3(range: [float], terms: int, total: int) = halved_range(
  halved_range(halved_range(range, terms, total), terms, total),
  terms,
  total
)

function halved_range9(range: [float], terms: int, total: int) = halved_range3(
  halved_range3(halved_range3(range, terms, total), terms, total),
  terms,
  total
)


function series_ratio(terms: int, total: int) {
  range = halved_range9(halved_range9([1.01, 1.5], terms, total), terms, total)
  (range[0] + range[1]) / 2
}


function spread(d: int, ratio: float) {
  far = (1 - pow(ratio, abs(d))) / (1 - ratio)
  if d < 0 { -far } else { far }
}


function share(at: float, left: float, here: float, right: float) = if at < here {
  if left == here { 1 } else { max([0, (at - left) / (here - left)]) }
} else {
  if right == here { 1 } else { max([0, (right - at) / (right - here)]) }
}


function spread_line(from: int, to: int) {
  half = floor(from / 2)
  ratio = series_ratio(half, floor(to / 2))
  table(
    i < to, j < from:
      share(
        i - floor(to / 2),
        spread(max([j - 1, 0]) - half, ratio),
        spread(j - half, ratio),
        spread(min([j + 1, from - 1]) - half, ratio)
      )
  )
}


function spread_table(
  numbers: tensor,
  from: int,
  to: int | [int],
  by: spread | bilinear
) = if sides(from) == sides(to) {
  numbers
} else {
  if by == bilinear {
    rearrange(
      resize(rearrange(numbers, "y x h -> 1 h y x"), to, mode: bilinear, antialias: false),
      "1 h y x -> y x h"
    )
  } else {
    down = spread_line(from, sides(to)[0])
    across = spread_line(from, sides(to)[1])
    rearrange(down @ rearrange(numbers, "y x h -> h y x") @ across.T, "h y x -> y x h")
  }
}
`,
  pruning: `

criterion magnitude(weight) = abs(weight)


criterion wanda(weight: [out, in], input) = abs(weight) * norm(input, axis: 0)
`,
  sam: `


module SamMlp(dim: int, hidden: int) {
  lin1 = Linear(dim -> hidden)
  lin2 = Linear(hidden -> dim)

  site activate(h: [b, y, x, hidden]) = gelu(h)
  forward(x: [b, y, x, dim]) { lin2(activate(lin1(x))) }
}


function stretched(t: tensor, length: int) = if size(t, 0) == length {
  t
} else {
  resize(rearrange(t, "n d -> 1 d n 1"), [length, 1], mode: bilinear)[0, :, :, 0].T
}




module SamAttention(
  dim: int,
  heads: int,
  side: int,
  table_side: int = side,
  bias: bool = true,
  relative: bool = true
) {
  require(dim % heads == 0, "heads must divide dim")
  qkv = Linear(dim -> {q: dim, k: dim, v: dim}, bias: bias)
  proj = Linear(dim -> dim)
  if relative {
    rel_pos_h = param [2 * table_side - 1, dim / heads] zeros
    rel_pos_w = param [2 * table_side - 1, dim / heads] zeros
    near = table(i < side, j < side: i - j + side - 1)
    same = table(i < side, j < side: if i == j { 1.0 } else { 0.0 })
    row = rearrange(expand(same[:, new], side, axis: 1), "y x i -> (y x) i")
    column = rearrange(expand(same[new], side), "y x j -> (y x) j")
    marks = concat(row, column, axis: 1)
  }

  site attend(q: [b, h, n, d], k: [b, h, m, d], v: [b, h, m, d], bias) = if relative {
    down = gather(stretched(rel_pos_h, 2 * side - 1), near, axis: 0)
    across = gather(stretched(rel_pos_w, 2 * side - 1), near, axis: 0)
    by_row = rearrange(q, "b h (y x) d -> b h y x d", y: side) @ transpose(down, [0, 2, 1])
    by_column = rearrange(q, "b h (y x) d -> b h x y d", y: side) @ transpose(across, [0, 2, 1])
    rows = rearrange(by_row, "b h y x i -> b h (y x) i")
    columns = rearrange(by_column, "b h x y j -> b h (y x) j")
    placed = broadcast(pad(marks, [m - n, 0], [0, 0]), [b, h, m, 2 * side])
    attention(
      concat(q, sqrt(d) * rows, sqrt(d) * columns, axis: 3),
      concat(k, placed, axis: 3),
      v,
      bias: bias,
      scale: 1 / sqrt(d)
    )
  } else {
    attention(q, k, v, bias: bias)
  }
  forward(x: [b, n, dim]) {
    q, k, v = rearrange(qkv(x), "b n (part h d) -> part b h n d", part: 3, h: heads)
    proj(rearrange(attend(q, k, v, none), "b h n d -> b n (h d)"))
  }
}


module SamBlock(
  dim: int,
  heads: int,
  grid: int,
  table_grid: int = grid,
  window: int = 0,
  hidden: int = 4 * dim,
  eps: float = 1e-6,
  qkv_bias: bool = true,
  relative: bool = true,
  drop: float = 0
) {
  norm1 = LayerNorm(dim, eps: eps)
  attn = SamAttention(
    dim,
    heads,
    if window > 0 { window } else { grid },
    table_side: if window > 0 { window } else { table_grid },
    bias: qkv_bias,
    relative: relative
  )
  norm2 = LayerNorm(dim, eps: eps)
  mlp = SamMlp(dim, hidden)
  side = if window > 0 { window } else { grid }

  site attn_branch(x: [b, h, w, dim]) = unwindowed(attn(windows(norm1(x), side)), side, h, w)
  site mlp_branch(x: [b, h, w, dim]) = mlp(norm2(x))
  forward(x: [b, grid, grid, dim]) {
    y = x + drop_path(attn_branch(x), drop)
    y + drop_path(mlp_branch(y), drop)
  }
}


backbone sam(
  table_image: int = 1024,
  image: int = table_image,
  patch: int = 16,
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  mlp_ratio: float = 4,
  hidden: int = floor(mlp_ratio * dim),
  window: int = 14,
  global_blocks: [int],
  eps: float = 1e-6,
  qkv_bias: bool = true,
  absolute: bool = true,
  relative: bool = true,
  features: int = 256,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  require(window >= 0, "window must be at least 0")
  grid = image / patch
  table_grid = table_image / patch
  patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch)
  if absolute { pos_embed = param [1, table_grid, table_grid, dim] zeros }
  blocks = repeat i < depth {
    SamBlock(
      dim,
      heads,
      grid,
      table_grid: table_grid,
      window: if sum(g < size(global_blocks): if global_blocks[g] == i { 1 } else { 0 }) > 0 {
        0
      } else {
        window
      },
      hidden: hidden,
      eps: eps,
      qkv_bias: qkv_bias,
      relative: relative,
      drop: drop_rate(drop_path_rate, i, depth)
    )
  }

  levels = []
  for g < size(global_blocks) {
    if global_blocks[g] < depth { levels = concat(levels, [blocks[global_blocks[g]]]) }
  }
  level_dims = repeat i < size(levels) { dim }
  level_axis = 3
  neck = ConvNeck(dim, features)
  forward(pixels: [b, channels, image, image]) {
    t = channels_last(patch_embed(pixels))
    placed = if absolute {
      t + if table_grid == grid {
          pos_embed
        } else {
          channels_last(resize(channels_first(pos_embed), grid, mode: bilinear))
        }
    } else {
      t
    }
    neck(channels_first(blocks(placed)))
  }
}


variant sam_auto = sam() {

  preprocess = resize(longest: image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]),
    pad(image)

  names huggingface {
    prefix "vision_encoder."
    unseen eps
    ignore "shared_image_embedding.*", "prompt_encoder.*", "mask_decoder.*"
    "vision_encoder.patch_embed.projection" = patch_embed
    optional "vision_encoder.pos_embed" = pos_embed
    "vision_encoder.layers.{i}.layer_norm1" = blocks[i].norm1
    "vision_encoder.layers.{i}.attn.qkv" = blocks[i].attn.qkv
    "vision_encoder.layers.{i}.attn.proj" = blocks[i].attn.proj
    optional "vision_encoder.layers.{i}.attn.rel_pos_h" = blocks[i].attn.rel_pos_h
    optional "vision_encoder.layers.{i}.attn.rel_pos_w" = blocks[i].attn.rel_pos_w
    "vision_encoder.layers.{i}.layer_norm2" = blocks[i].norm2
    "vision_encoder.layers.{i}.mlp.lin1" = blocks[i].mlp.lin1
    "vision_encoder.layers.{i}.mlp.lin2" = blocks[i].mlp.lin2
    "vision_encoder.neck.conv1" = neck.conv1
    "vision_encoder.neck.layer_norm1" = neck.norm1
    "vision_encoder.neck.conv2" = neck.conv2
    "vision_encoder.neck.layer_norm2" = neck.norm2
  }
  names authors {
    prefix "image_encoder."
    unseen eps
    ignore "prompt_encoder.*", "mask_decoder.*"
    "image_encoder.patch_embed.proj" = patch_embed
    optional "image_encoder.pos_embed" = pos_embed
    "image_encoder.blocks.{i}.norm1" = blocks[i].norm1
    "image_encoder.blocks.{i}.attn.qkv" = blocks[i].attn.qkv
    "image_encoder.blocks.{i}.attn.proj" = blocks[i].attn.proj
    optional "image_encoder.blocks.{i}.attn.rel_pos_h" = blocks[i].attn.rel_pos_h
    optional "image_encoder.blocks.{i}.attn.rel_pos_w" = blocks[i].attn.rel_pos_w
    "image_encoder.blocks.{i}.norm2" = blocks[i].norm2
    "image_encoder.blocks.{i}.mlp" = blocks[i].mlp
    "image_encoder.neck.0" = neck.conv1
    "image_encoder.neck.1" = neck.norm1
    "image_encoder.neck.2" = neck.conv2
    "image_encoder.neck.3" = neck.norm2
  }

  config huggingface {
    match "model_type" = "sam", "sam_vision_model"
    match "vision_config.hidden_act" or "hidden_act" = "gelu", none
    table_image = square("vision_config.image_size") or square("image_size") or 1024
    patch = square("vision_config.patch_size") or square("patch_size") or 16
    channels = count("vision_config.num_channels") or count("num_channels") or 3
    dim = count("vision_config.hidden_size") or count("hidden_size") or 768
    depth = count("vision_config.num_hidden_layers") or count("num_hidden_layers") or 12
    heads = count("vision_config.num_attention_heads") or count("num_attention_heads") or 12
    mlp_ratio = amount("vision_config.mlp_ratio") or amount("mlp_ratio") or 4
    hidden = count("vision_config.mlp_dim") or count("mlp_dim") or floor(mlp_ratio * dim)
    window = "vision_config.window_size" or "window_size" or 14
    global_blocks = "vision_config.global_attn_indexes" or "global_attn_indexes" or [2, 5, 8, 11]
    eps = amount("vision_config.layer_norm_eps") or amount("layer_norm_eps") or 1e-6
    qkv_bias = "vision_config.qkv_bias" or "qkv_bias" or true
    absolute = "vision_config.use_abs_pos" or "use_abs_pos" or true
    relative = "vision_config.use_rel_pos" or "use_rel_pos" or true
    features = count("vision_config.output_channels") or count("output_channels") or 256
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "SamImageProcessor*", none
    "size" = {longest_edge: 1024}
    "resample" = 2
    "do_center_crop" = false
    "do_pad" = true
    "pad_size" = 1024
    "pad_after" = "normalize"
    "image_mean" = [0.485, 0.456, 0.406]
    "image_std" = [0.229, 0.224, 0.225]
  }
}

variant sam_vit_base = sam_auto(dim: 768, depth: 12, heads: 12, global_blocks: [2, 5, 8, 11])
variant sam_vit_large = sam_auto(dim: 1024, depth: 24, heads: 16, global_blocks: [5, 11, 17, 23])
variant sam_vit_huge = sam_auto(dim: 1280, depth: 32, heads: 16, global_blocks: [7, 15, 23, 31])
`,
  search: `


function pooled(x: tensor) = max(
  rearrange(x, "b c (h p) (w q) -> b c h w p q", p: 2, q: 2),
  axis: [-2, -1]
)



module QNetwork(channels: [int] = [16, 32, 64, 64], hidden: [int] = [256, 128], side: int = 64) {
  require(
    size(channels) == 4 and size(hidden) == 2,
    "four convolutions, and two layers behind them"
  )
  conv1 = Conv2d(2 -> channels[0], kernel: 3, padding: 1)
  conv2 = Conv2d(channels[0] -> channels[1], kernel: 3, padding: 1)
  conv3 = Conv2d(channels[1] -> channels[2], kernel: 3, padding: 1)
  conv4 = Conv2d(channels[2] -> channels[3], kernel: 3, padding: 1)
  fc1 = Linear(channels[3] + 1 -> hidden[0])
  fc2 = Linear(hidden[0] -> hidden[1])
  fc3 = Linear(hidden[1] -> 2)
  forward(features: [b, 2, side, side], rate: [b, 1], taken: [b, 2]) {
    x1 = pooled(relu(conv1(features)))
    x2 = pooled(relu(conv2(x1)))
    x3 = pooled(relu(conv3(x2)))
    x4 = pooled(relu(conv4(x3)))
    y = concat(mean(x4, axis: [-2, -1]), rate, axis: 1)
    values = fc3(relu(fc2(relu(fc1(y)))))

    {chosen: values * taken, values: values}
  }
}


function taken_error(prediction: tensor, target: tensor) = mean(
  sum((prediction - target) * (prediction - target), axis: -1)
)


module Actor(numbers: int, hidden: [int] = [400, 300]) {
  require(size(hidden) == 2, "an actor has two hidden layers")
  fc1 = Linear(numbers -> hidden[0])
  fc2 = Linear(hidden[0] -> hidden[1])
  fc3 = Linear(hidden[1] -> 1)
  forward(state: [b, numbers]) { sigmoid(fc3(relu(fc2(relu(fc1(state)))))) }
}


module Critic(numbers: int, hidden: [int] = [400, 300]) {
  require(size(hidden) == 2, "a critic has two hidden layers")
  state1 = Linear(numbers -> hidden[0])
  action1 = Linear(1 -> hidden[0])
  fc2 = Linear(hidden[0] -> hidden[1])
  fc3 = Linear(hidden[1] -> 1)
  forward(state: [b, numbers], action: [b, 1]) {
    fc3(relu(fc2(relu(state1(state) + action1(action)))))
  }
}


module Acting(actor: module, critic: module, numbers: int) {
  forward(state: [b, numbers]) {
    action = actor(state)
    {value: critic(state, action), action: action}
  }
}


function worth_error(prediction: tensor, target: tensor) = mean(target - prediction)
`,
  siglip: `



module AttentionPool(
  dim: int,
  heads: int,
  hidden: int,
  eps: float,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu
) {
  require(dim % heads == 0, "heads must divide dim")
  probe = param [1, 1, dim] normal(0.02)
  qkv = Linear(dim -> {q: dim, kv: 2 * dim})
  proj = Linear(dim -> dim)
  norm = LayerNorm(dim, eps: eps)
  mlp = Mlp(dim, hidden, activation: activation)
  forward(x: [b, n, dim]) {
    q = rearrange(expand(qkv(probe)[:, :, 0..dim], b), "b n (h d) -> b h n d", h: heads)
    k, v = rearrange(qkv(x)[:, :, dim..], "b n (part h d) -> part b h n d", part: 2, h: heads)
    y = proj(rearrange(attention(q, k, v), "b h n d -> b n (h d)"))
    y + mlp(norm(y))
  }
}



backbone siglip(
  patch: int = 16,
  table_places: int | none = none,
  table_image: int | [int] = 224,
  image: int | [int] = if table_places == none {
    table_image
  } else {
    round(sqrt(table_places)) * patch
  },
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  hidden: int = 4 * dim,
  activation: gelu | gelu_tanh = gelu_tanh,
  eps: float = 1e-6,
  pooled: bool = true,
  flat: bool = false,
  filter: bicubic | bilinear = if flat { bilinear } else { bicubic },
  antialias: bool = flat,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  side = sides(image)
  require(not flat or side % patch == [0, 0], "a layer over patches takes whole ones")
  grid = floor(side / patch)
  table_grid = if table_places == none {
    floor(sides(table_image) / patch)
  } else {
    sides(round(sqrt(table_places)))
  }
  if flat {
    patch_layer = Linear(channels * patch * patch -> dim)
  } else {
    patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch)
  }
  pos_embed = param [1, table_grid[0] * table_grid[1], dim] normal(0.02)
  blocks = repeat i < depth {
    Block(
      dim,
      heads,
      hidden: hidden,
      eps: eps,
      activation: activation,
      drop: drop_rate(drop_path_rate, i, depth)
    )
  }
  levels = repeat i < min([4, depth]) { blocks[read_block(i, depth)] }
  level_dims = repeat i < min([4, depth]) { dim }
  level_axis = 2
  norm = LayerNorm(dim, eps: eps)
  if pooled { attn_pool = AttentionPool(dim, heads, hidden, eps, activation) }

  class_tokens = if pooled { 1 } else { 0 }
  register_tokens = 0
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = if flat {
      patch_layer(rearrange(pixels, "b c (h i) (w j) -> b (h w) (i j c)", i: patch, j: patch))
    } else {
      grid_tokens(patch_embed(pixels))
    }
    place = positions(pos_embed, 0, table_grid, grid, filter: filter, antialias: antialias)
    t = norm(blocks(p + place))
    if pooled { concat(attn_pool(t), t, axis: 1) } else { t }
  }
}


variant siglip_auto = siglip() {
  preprocess = resize(sides(image), bicubic), normalize(mean: 0.5, std: 0.5)

  names timm {
    prefix "timm_model."
    unseen heads, activation, eps, antialias
    optional "patch_embed.proj" = patch_embed
    optional "attn_pool.latent" = attn_pool.probe
    optional "attn_pool.q" = attn_pool.qkv.q
    optional "attn_pool.kv" = attn_pool.qkv.kv
    "head" = head.fc
  }

  names huggingface {
    prefix "vision_model."
    bypassed "*head.attention.out_proj" = "in_proj_weight"
    unseen heads, eps
    ignore "*.position_ids", "text_model.*", "logit_scale", "logit_bias"
    "vision_model.embeddings.position_embedding.weight" = pos_embed[0]
    optional "vision_model.embeddings.patch_embedding" = patch_embed
    "vision_model.encoder.layers.{i}.layer_norm1" = blocks[i].norm1
    "vision_model.encoder.layers.{i}.self_attn.q_proj" = blocks[i].attn.qkv.q
    "vision_model.encoder.layers.{i}.self_attn.k_proj" = blocks[i].attn.qkv.k
    "vision_model.encoder.layers.{i}.self_attn.v_proj" = blocks[i].attn.qkv.v
    "vision_model.encoder.layers.{i}.self_attn.out_proj" = blocks[i].attn.proj
    "vision_model.encoder.layers.{i}.layer_norm2" = blocks[i].norm2
    "vision_model.encoder.layers.{i}.mlp" = blocks[i].mlp
    "vision_model.post_layernorm" = norm
    optional "vision_model.head.probe" = attn_pool.probe
    optional "vision_model.head.attention.in_proj_weight" = attn_pool.qkv.weight
    optional "vision_model.head.attention.in_proj_bias" = attn_pool.qkv.bias
    optional "vision_model.head.attention.out_proj" = attn_pool.proj
    optional "vision_model.head.layernorm" = attn_pool.norm
    optional "vision_model.head.mlp" = attn_pool.mlp
    "classifier" = head.fc
    head "classifier" = classify(base, pool: mean)
  }

  config huggingface {
    match "model_type" = "siglip", "siglip_vision_model"
    match "vision_config.hidden_act" or "hidden_act" = "gelu_pytorch_tanh", none
    table_image = square("vision_config.image_size") or square("image_size") or 224
    patch = square("vision_config.patch_size") or square("patch_size") or 16
    channels = count("vision_config.num_channels") or count("num_channels") or 3
    dim = count("vision_config.hidden_size") or count("hidden_size") or 768
    depth = count("vision_config.num_hidden_layers") or count("num_hidden_layers") or 12
    heads = count("vision_config.num_attention_heads") or count("num_attention_heads") or 12
    hidden = count("vision_config.intermediate_size") or count("intermediate_size") or 3072
    eps = amount("vision_config.layer_norm_eps") or amount("layer_norm_eps") or 1e-6
    pooled = "vision_config.vision_use_head" or "vision_use_head" or true
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["SiglipForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "vit_*_siglip_2*", "vit_*_siglip_3*", "vit_*_siglip_5*"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "map", none
    match "model_args.class_token" = false, none
    sizes "architecture"
    only "model_args" = "num_classes",
      "*drop*rate",
      "weight_init",
      "fix_init",
      "strict_img_size",
      "dynamic_img_*"
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim = count("model_args.embed_dim")
    depth = count("model_args.depth")
    heads = count("model_args.num_heads")
    antialias = true
    activation = word("model_args.act_layer")
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "SiglipImageProcessor*", none
    given = "size" or {height: 224, width: 224}

    set "size" = if table_image == image { given } else { sized(image) }
    "default_to_square" = false
    "resample" = 3
    "do_center_crop" = false
    "image_mean" = 0.5
    "image_std" = 0.5
  }
}



variant siglip2_naflex_auto = siglip_auto(flat: true) {
  preprocess = resize(sides(image), bilinear), normalize(mean: 0.5, std: 0.5)
  names huggingface {
    prefix "vision_model."
    bypassed "*head.attention.out_proj" = "in_proj_weight"
    unseen heads, eps
    ignore "*.position_ids", "text_model.*", "logit_scale", "logit_bias"
    "vision_model.embeddings.position_embedding.weight" = pos_embed[0]
    "vision_model.embeddings.patch_embedding" = patch_layer
    "vision_model.encoder.layers.{i}.layer_norm1" = blocks[i].norm1
    "vision_model.encoder.layers.{i}.self_attn.q_proj" = blocks[i].attn.qkv.q
    "vision_model.encoder.layers.{i}.self_attn.k_proj" = blocks[i].attn.qkv.k
    "vision_model.encoder.layers.{i}.self_attn.v_proj" = blocks[i].attn.qkv.v
    "vision_model.encoder.layers.{i}.self_attn.out_proj" = blocks[i].attn.proj
    "vision_model.encoder.layers.{i}.layer_norm2" = blocks[i].norm2
    "vision_model.encoder.layers.{i}.mlp" = blocks[i].mlp
    "vision_model.post_layernorm" = norm
    optional "vision_model.head.probe" = attn_pool.probe
    optional "vision_model.head.attention.in_proj_weight" = attn_pool.qkv.weight
    optional "vision_model.head.attention.in_proj_bias" = attn_pool.qkv.bias
    optional "vision_model.head.attention.out_proj" = attn_pool.proj
    optional "vision_model.head.layernorm" = attn_pool.norm
    optional "vision_model.head.mlp" = attn_pool.mlp
    "classifier" = head.fc
    head "classifier" = classify(base, pool: mean)
  }

  config huggingface {
    match "model_type" = "siglip2", "siglip2_vision_model"
    table_places = count("vision_config.num_patches") or count("num_patches") or 256
    set "architectures" = ["Siglip2ForImageClassification"]
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "Siglip2ImageProcessor*", none
    set "size" = sized(image)
    set "max_num_patches" = none
    set "patch_size" = none
    "resample" = 2
    "do_center_crop" = false
    "image_mean" = 0.5
    "image_std" = 0.5
  }
}


variant siglip_gap_auto = siglip_auto(pooled: false) {
  config timm {
    match "architecture" = "vit_*_siglip_gap_*"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "avg", none
    match "model_args.fc_norm" = false, none
  }
}


variant siglip_base_patch16_224 = siglip_auto(
  table_image: 224,
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12
)
variant siglip_base_patch16_256 = siglip_auto(
  table_image: 256,
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12
)
variant siglip_base_patch16_384 = siglip_auto(
  table_image: 384,
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12
)
variant siglip_base_patch16_512 = siglip_auto(
  table_image: 512,
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12
)
variant siglip_large_patch16_256 = siglip_auto(
  table_image: 256,
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16
)
variant siglip_large_patch16_384 = siglip_auto(
  table_image: 384,
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16
)

variant siglip_large_patch16_512 = siglip_auto(
  table_image: 512,
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16
) {
  config timm {
    match "architecture" = "vit_large_patch16_siglip_512"
  }
}

variant siglip_so400m_patch14_224 = siglip_auto(
  table_image: 224,
  patch: 14,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304
)
variant siglip_so400m_patch14_384 = siglip_auto(
  table_image: 384,
  patch: 14,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304
)

variant siglip_so400m_patch16_256 = siglip_auto(
  table_image: 256,
  patch: 16,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304
) {
  config timm {
    match "architecture" = "vit_so400m_patch16_siglip_256"
  }
}

variant siglip_so400m_patch16_384 = siglip_auto(
  table_image: 384,
  patch: 16,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304
) {
  config timm {
    match "architecture" = "vit_so400m_patch16_siglip_384"
  }
}

variant siglip_so400m_patch16_512 = siglip_auto(
  table_image: 512,
  patch: 16,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304
) {
  config timm {
    match "architecture" = "vit_so400m_patch16_siglip_512"
  }
}

variant siglip_giant_patch16_256 = siglip_auto(
  table_image: 256,
  patch: 16,
  dim: 1536,
  depth: 40,
  heads: 16
) {
  config timm {
    match "architecture" = "vit_giantopt_patch16_siglip_256"
  }
}

variant siglip_giant_patch16_384 = siglip_auto(
  table_image: 384,
  patch: 16,
  dim: 1536,
  depth: 40,
  heads: 16
) {
  config timm {
    match "architecture" = "vit_giantopt_patch16_siglip_384"
  }
}
`,
  siglip_sizes: `

variant siglip_base_patch16_gelu = siglip_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_base_patch16_siglip_224",
      "vit_base_patch16_siglip_256",
      "vit_base_patch16_siglip_384",
      "vit_base_patch16_siglip_512"
  }
}

variant siglip_gap_base_patch16_gelu = siglip_gap_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_base_patch16_siglip_gap_224",
      "vit_base_patch16_siglip_gap_256",
      "vit_base_patch16_siglip_gap_384",
      "vit_base_patch16_siglip_gap_512"
  }
}

variant siglip_base_patch32 = siglip_auto(
  patch: 32,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu_tanh
) {
  config timm {
    match "architecture" = "vit_base_patch32_siglip_256"
  }
}

variant siglip_gap_base_patch32 = siglip_gap_auto(
  patch: 32,
  dim: 768,
  depth: 12,
  heads: 12,
  activation: gelu_tanh
) {
  config timm {
    match "architecture" = "vit_base_patch32_siglip_gap_256"
  }
}

variant siglip_large_patch16_gelu = siglip_auto(
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_large_patch16_siglip_256", "vit_large_patch16_siglip_384"
  }
}

variant siglip_gap_large_patch16_gelu = siglip_gap_auto(
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_large_patch16_siglip_gap_256", "vit_large_patch16_siglip_gap_384"
  }
}

variant siglip_so400m_patch14_gelu = siglip_auto(
  patch: 14,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_so400m_patch14_siglip_224",
      "vit_so400m_patch14_siglip_378",
      "vit_so400m_patch14_siglip_384"
  }
}

variant siglip_gap_so400m_patch14_gelu = siglip_gap_auto(
  patch: 14,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304,
  activation: gelu
) {
  config timm {
    match "architecture" = "vit_so400m_patch14_siglip_gap_224",
      "vit_so400m_patch14_siglip_gap_378",
      "vit_so400m_patch14_siglip_gap_384",
      "vit_so400m_patch14_siglip_gap_448",
      "vit_so400m_patch14_siglip_gap_896"
  }
}

variant siglip_gap_large_patch16 = siglip_gap_auto(
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16,
  activation: gelu_tanh
) {
  config timm {
    match "architecture" = "vit_large_patch16_siglip_gap_512"
  }
}

variant siglip_gap_so400m_patch16 = siglip_gap_auto(
  patch: 16,
  dim: 1152,
  depth: 27,
  heads: 16,
  hidden: 4304,
  activation: gelu_tanh
) {
  config timm {
    match "architecture" = "vit_so400m_patch16_siglip_gap_256",
      "vit_so400m_patch16_siglip_gap_384",
      "vit_so400m_patch16_siglip_gap_512"
  }
}

variant siglip_gap_giant_patch16 = siglip_gap_auto(
  patch: 16,
  dim: 1536,
  depth: 40,
  heads: 16,
  activation: gelu_tanh
) {
  config timm {
    match "architecture" = "vit_giantopt_patch16_siglip_gap_256",
      "vit_giantopt_patch16_siglip_gap_384"
  }
}
`,
  swin: `


function halved(side: int, times: int) = ceil(side / pow(2, times))


function of_stage(list: [int], s: int, otherwise: int) = if s < size(list) {
  list[s]
} else {
  otherwise
}


function measured_by(trained: int, window: int, table_window: int, fitted: int) = if trained > 0 {
  trained
} else {
  if window == table_window { 0 } else { fitted }
}






backbone swin(
  table_image: int = 224,
  image: int = table_image,
  patch: int = 4,
  channels: int = 3,
  dim0: int = 96,
  depths: [int],
  heads: [int],
  table_window: int = 7,
  window: int = table_window,
  stage_windows: [int] = [],
  table_filter: bicubic | spread = bicubic,
  fitted_tables: bool = false,
  mlp_ratio: float = 4,
  eps: float = 1e-5,
  qkv_bias: bool = true,
  absolute: bool = false,
  pad_first: bool = true,
  second: bool = false,
  trained_windows: [int] = [],
  window_image: int | none = none,
  far: float = 100,
  drop_path_rate: float = 0
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  number = size(depths)
  require(number >= 1, "there must be at least one stage")
  require(size(heads) >= number, "each stage needs a number of heads")
  require(window >= 1, "window must be at least 1")
  require(image % patch == 0, "patch must divide image")
  grid = image / patch
  table_grid = floor(table_image / patch)
  patch_embed = Conv2d(channels -> dim0, kernel: patch, stride: patch)
  patch_norm = LayerNorm(dim0)
  if absolute { pos_embed = param [1, table_grid * table_grid, dim0] zeros }
  stages = repeat s < number {
    SwinStage(
      if s > 0 { dim0 * pow(2, s - 1) } else { dim0 },
      dim0 * pow(2, s),
      depths[s],
      heads[s],
      halved(grid, s),
      if window_image == none { halved(grid, s) } else { floor(window_image / patch / pow(2, s)) },
      of_stage(stage_windows, s, window),
      if second {
        measured_by(
          of_stage(trained_windows, s, 0),
          window,
          table_window,
          min([table_window, halved(table_grid, s)])
        )
      } else {
        if fitted_tables {
          min([of_stage(stage_windows, s, table_window), halved(table_grid, s)])
        } else {
          of_stage(stage_windows, s, table_window)
        }
      },
      table_filter,
      halves: s > 0,
      mlp_ratio: mlp_ratio,
      eps: eps,
      qkv_bias: qkv_bias,
      pad_first: pad_first,
      second: second,
      far: far,
      drop: drop_path_rate,
      before: sum(r < s: depths[r]),
      all: sum(depths)
    )
  }
  levels = repeat s < number { stages[s] }
  level_dims = repeat s < number { dim0 * pow(2, s) }
  level_axis = 3
  dim = dim0 * pow(2, number - 1)
  norm = LayerNorm(dim, eps: eps)

  class_tokens = 1
  register_tokens = 0
  forward(pixels: [b, channels, image, image]) {
    p = patch_norm(grid_tokens(patch_embed(pixels)))
    t = if absolute {
      p + positions(pos_embed, 0, table_grid, grid, filter: bicubic, antialias: false)
    } else {
      p
    }
    with_mean(norm(as_tokens(stages(as_grid(t, grid)))))
  }
}


variant swin_auto = swin() {
  preprocess = resize(floor((image * 256) / 224), bicubic),
    crop(image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  names timm {
    prefix "timm_model."
    unseen pad_first, table_filter
    ignore "*.relative_position_index", "*.attn_mask"
    "patch_embed.proj" = patch_embed
    "patch_embed.norm" = patch_norm
    "layers.{s}.blocks.{i}" = stages[s].blocks[i]
    optional "layers.{s}.downsample" = stages[s].downsample
    "head.fc" = head.fc
  }

  names authors {
    unseen eps
    ignore "*.relative_position_index", "*.attn_mask"
    "patch_embed.proj" = patch_embed
    "patch_embed.norm" = patch_norm
    optional "absolute_pos_embed" = pos_embed
    "layers.{s}.blocks.{i}" = stages[s].blocks[i]
    optional "layers.{s - 1}.downsample" = stages[s].downsample
    "head" = head.fc
  }

  names huggingface {
    prefix "swin."
    unseen eps
    ignore "*.relative_position_index", "swin.embeddings.mask_token"
    "swin.embeddings.patch_embeddings.projection" = patch_embed
    "swin.embeddings.norm" = patch_norm
    optional "swin.embeddings.position_embeddings" = pos_embed
    "swin.encoder.layers.{s}.blocks.{i}.layernorm_before" = stages[s].blocks[i].norm1
    "swin.encoder.layers.{s}.blocks.{i}.attention.self.query"
      or "swin.encoder.layers.{s}.blocks.{i}.attention.q_proj" = stages[s].blocks[i].attn.qkv.q
    "swin.encoder.layers.{s}.blocks.{i}.attention.self.key"
      or "swin.encoder.layers.{s}.blocks.{i}.attention.k_proj" = stages[s].blocks[i].attn.qkv.k
    "swin.encoder.layers.{s}.blocks.{i}.attention.self.value"
      or "swin.encoder.layers.{s}.blocks.{i}.attention.v_proj" = stages[s].blocks[i].attn.qkv.v
    "swin.encoder.layers.{s}.blocks.{i}.attention.self.relative_position_bias_table"
      or "swin.encoder.layers.{s}.blocks.{i}.attention.relative_position_bias.relative_position_bias_table" = stages[
      s
    ].blocks[i].attn.relative_position_bias_table
    "swin.encoder.layers.{s}.blocks.{i}.attention.output.dense"
      or "swin.encoder.layers.{s}.blocks.{i}.attention.o_proj" = stages[s].blocks[i].attn.proj
    "swin.encoder.layers.{s}.blocks.{i}.layernorm_after" = stages[s].blocks[i].norm2
    "swin.encoder.layers.{s}.blocks.{i}.intermediate.dense"
      or "swin.encoder.layers.{s}.blocks.{i}.mlp.fc1" = stages[s].blocks[i].mlp.fc1
    "swin.encoder.layers.{s}.blocks.{i}.output.dense"
      or "swin.encoder.layers.{s}.blocks.{i}.mlp.fc2" = stages[s].blocks[i].mlp.fc2
    optional "swin.encoder.layers.{s - 1}.downsample" = stages[s].downsample
    "swin.layernorm" = norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "swin"
    match "hidden_act" = "gelu", none
    table_image = square("image_size") or 224
    patch = square("patch_size") or 4
    channels = count("num_channels") or 3
    dim0 = count("embed_dim") or 96
    depths = "depths" or [2, 2, 6, 2]
    heads = "num_heads" or [3, 6, 12, 24]
    table_window = count("window_size") or 7
    mlp_ratio = amount("mlp_ratio") or 4
    qkv_bias = "qkv_bias" or true
    absolute = "use_absolute_embeddings" or false
    eps = amount("layer_norm_eps") or 1e-5
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["SwinForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "swin_*"
    sizes "architecture"
    only "model_args" = "num_classes",
      "*drop*rate",
      "weight_init",
      "strict_img_size",
      "dynamic_img_*"
    match "model_args.always_partition" = false, none
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "avg", none
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim0 = count("model_args.embed_dim")
    depths = "model_args.depths"
    heads = "model_args.num_heads"
    table_window = square("model_args.window_size")
    mlp_ratio = amount("model_args.mlp_ratio")
    qkv_bias = "model_args.qkv_bias"
    pad_first = false
    fitted_tables = true
    table_filter = spread
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "ViTImageProcessor*",
      "ViTFeatureExtractor*",
      none
    given = "size" or {height: 224, width: 224}

    set "size" = if table_image == none or table_image == image {
      given
    } else {
      {height: image, width: image}
    }
    "crop_size" = 224
    "default_to_square" = true
    "resample" = 2
    "do_center_crop" = false
    "image_mean" = 0.5
    "image_std" = 0.5
  }
}

variant swin_tiny = swin_auto(dim0: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24]) {
  config timm {
    match "architecture" = "swin_tiny_patch4_window7_224"
  }
}

variant swin_small = swin_auto(dim0: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24]) {
  config timm {
    match "architecture" = "swin_small_patch4_window7_224"
  }
}

variant swin_base = swin_auto(dim0: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32]) {
  config timm {
    match "architecture" = "swin_base_patch4_window7_224"
  }
}

variant swin_large = swin_auto(dim0: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48]) {
  config timm {
    match "architecture" = "swin_large_patch4_window7_224"
  }
}


variant swin_base_384 = swin_auto(
  table_image: 384,
  table_window: 12,
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  preprocess = resize([image, image], bicubic),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "swin_base_patch4_window12_384"
  }
}

variant swin_large_384 = swin_auto(
  table_image: 384,
  table_window: 12,
  dim0: 192,
  depths: [2, 2, 18, 2],
  heads: [6, 12, 24, 48]
) {
  preprocess = resize([image, image], bicubic),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "swin_large_patch4_window12_384"
  }
}



variant swin_s3_tiny = swin_auto(
  dim0: 96,
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 24],
  stage_windows: [7, 7, 14, 7]
) {
  config timm {
    match "architecture" = "swin_s3_tiny_224"
  }
}

variant swin_s3_small = swin_auto(
  dim0: 96,
  depths: [2, 2, 18, 2],
  heads: [3, 6, 12, 24],
  stage_windows: [14, 14, 14, 7]
) {
  config timm {
    match "architecture" = "swin_s3_small_224"
  }
}

variant swin_s3_base = swin_auto(
  dim0: 96,
  depths: [2, 2, 30, 2],
  heads: [3, 6, 12, 24],
  stage_windows: [7, 7, 14, 7]
) {
  config timm {
    match "architecture" = "swin_s3_base_224"
  }
}
`,
  swin_blocks: `


module SwinAttention(
  dim: int,
  heads: int,
  window: int,
  table_window: int = window,
  table_filter: bicubic | spread = bicubic,
  bias: bool = true
) {
  require(dim % heads == 0, "heads must divide dim")
  qkv = Linear(dim -> {q: dim, k: dim, v: dim}, bias: bias)
  proj = Linear(dim -> dim)
  relative_position_bias_table = param [
    (2 * table_window - 1) * (2 * table_window - 1),
    heads
  ] zeros
  site attend(q: [b, h, n, d], k: [b, h, m, d], v: [b, h, m, d], bias) = attention(
    q,
    k,
    v,
    bias: bias
  )

  forward(x: [b, n, dim], mask) {
    q, k, v = rearrange(qkv(x), "b n (part h d) -> part b h n d", part: 3, h: heads)
    near = placed(
      window_table(relative_position_bias_table, table_window, window, table_filter),
      window
    )
    seen = if mask == none { near } else { near + mask }
    proj(rearrange(attend(q, k, v, seen), "b h n d -> b n (h d)"))
  }
}


function unit(x: tensor) = x / maximum(sqrt(sum(x * x, axis: -1, keep: true)), 1e-12)


function log_distance(i: int, window: int, trained_window: int) {
  reach = max([(if trained_window > 0 { trained_window } else { window }) - 1, 1])
  far = log(1 + (8 * abs(i - window + 1)) / reach) / log(8)
  if i < window - 1 { -far } else { far }
}


module DistanceMlp(heads: int) {
  fc1 = Linear(2 -> 512)
  fc2 = Linear(512 -> heads, bias: false)
  forward(x: [y, x, 2]) { 16 * sigmoid(fc2(relu(fc1(x)))) }
}


module CosineAttention(
  dim: int,
  heads: int,
  window: int,
  trained_window: int = 0,
  bias: bool = true
) {
  require(dim % heads == 0, "heads must divide dim")
  qkv = Linear(dim -> {q: dim, k: dim, v: dim}, bias: false)
  if bias {
    q_bias = param [dim] zeros
    v_bias = param [dim] zeros
  }
  logit_scale = param [heads, 1, 1] log(10)
  cpb_mlp = DistanceMlp(heads)
  proj = Linear(dim -> dim)
  side = 2 * window - 1
  line = table(i < side: log_distance(i, window, trained_window))
  distances = concat(
    expand(line[:, new, new], side, axis: 1),
    expand(line[new, :, new], side, axis: 0),
    axis: 2
  )
  site attend(q: [b, h, n, d], k: [b, h, m, d], v: [b, h, m, d], bias) = attention(
    q,
    k,
    v,
    bias: bias,
    scale: 1
  )

  forward(x: [b, n, dim], mask) {
    h = if bias { qkv(x) + query_value_bias(q_bias, v_bias) } else { qkv(x) }
    q, k, v = rearrange(h, "b n (part h d) -> part b h n d", part: 3, h: heads)
    near = placed(cpb_mlp(distances), window)
    seen = if mask == none { near } else { near + mask }
    sharp = exp(minimum(logit_scale, log(100)))
    proj(rearrange(attend(sharp * unit(q), unit(k), v, seen), "b h n d -> b n (h d)"))
  }
}


function normed(norm: module, x: tensor, here: bool) = if here { norm(x) } else { x }


module SwinBlock(
  dim: int,
  heads: int,
  height: int,
  window: int,
  shift: int,
  table_window: int = window,
  table_filter: bicubic | spread = bicubic,
  hidden: int = 4 * dim,
  eps: float = 1e-5,
  qkv_bias: bool = true,
  pad_first: bool = true,
  second: bool = false,
  far: float = 100,
  drop: float = 0
) {
  norm1 = LayerNorm(dim, eps: eps)
  if second {
    attn = CosineAttention(dim, heads, window, trained_window: table_window, bias: qkv_bias)
  } else {
    attn = SwinAttention(
      dim,
      heads,
      window,
      table_window: table_window,
      table_filter: table_filter,
      bias: qkv_bias
    )
  }
  norm2 = LayerNorm(dim, eps: eps)
  mlp = Mlp(dim, hidden)
  site attn_branch(x: [b, h, w, dim]) = normed(
    norm1,
    from_windows(
      attn(
        to_windows(normed(norm1, x, not second), window, shift, pad_first),
        if shift > 0 {
          shifted_mask(b, rounded_up(height, window), window, shift, far)
        } else {
          none
        }
      ),
      window,
      shift,
      height,
      pad_first
    ),
    second
  )
  site mlp_branch(x: [b, n, dim]) = normed(norm2, mlp(normed(norm2, x, not second)), second)
  forward(x: [b, h, w, dim]) {
    y = as_tokens(x + drop_path(attn_branch(x), drop))
    as_grid(y + drop_path(mlp_branch(y), drop), height)
  }
}


module SwinMerging(in: int, out: int, second: bool) {
  norm = LayerNorm(if second { out } else { 4 * in })
  reduction = Linear(4 * in -> out, bias: false)
  forward(x: [b, h, w, in]) {
    four = four_as_one(pad(x, [0, 0, 0, 0], [0, h % 2, w % 2, 0]))
    if second { norm(reduction(four)) } else { reduction(norm(four)) }
  }
}



module SwinStage(
  in: int,
  out: int,
  depth: int,
  heads: int,
  grid: int,
  fitted: int,
  window: int,
  table_window: int,
  table_filter: bicubic | spread,
  halves: bool,
  mlp_ratio: float,
  eps: float,
  qkv_bias: bool,
  pad_first: bool,
  second: bool,
  far: float,
  drop: float,
  before: int,
  all: int
) {
  if halves { downsample = SwinMerging(in, out, second) }
  side = min([fitted, window])
  blocks = repeat i < depth {
    SwinBlock(
      out,
      heads,
      grid,
      side,
      if i % 2 == 1 and fitted > window { floor(window / 2) } else { 0 },
      table_window: table_window,
      table_filter: table_filter,
      hidden: floor(mlp_ratio * out),
      eps: eps,
      qkv_bias: qkv_bias,
      pad_first: pad_first,
      second: second,
      far: far,
      drop: drop_rate(drop, before + i, all)
    )
  }
  forward(x: [b, h, w, in]) { if halves { blocks(downsample(x)) } else { blocks(x) } }
}
`,
  swinv2: `



variant swinv2_auto = swin_auto(second: true) {

  names timm {
    prefix "timm_model."
    bypassed "*.attn.qkv" = "q_bias"
    unseen table_window, trained_windows, pad_first, eps
    ignore "*.relative_position_index", "*.relative_coords_table", "*.attn_mask"
    "patch_embed.proj" = patch_embed
    "patch_embed.norm" = patch_norm
    "layers.{s}.blocks.{i}.norm1" = stages[s].blocks[i].norm1
    "layers.{s}.blocks.{i}.attn.qkv" = stages[s].blocks[i].attn.qkv
    optional "layers.{s}.blocks.{i}.attn.q_bias" = stages[s].blocks[i].attn.q_bias
    optional "layers.{s}.blocks.{i}.attn.v_bias" = stages[s].blocks[i].attn.v_bias
    "layers.{s}.blocks.{i}.attn.logit_scale" = stages[s].blocks[i].attn.logit_scale
    "layers.{s}.blocks.{i}.attn.cpb_mlp.0" = stages[s].blocks[i].attn.cpb_mlp.fc1
    "layers.{s}.blocks.{i}.attn.cpb_mlp.2" = stages[s].blocks[i].attn.cpb_mlp.fc2
    "layers.{s}.blocks.{i}.attn.proj" = stages[s].blocks[i].attn.proj
    "layers.{s}.blocks.{i}.norm2" = stages[s].blocks[i].norm2
    "layers.{s}.blocks.{i}.mlp" = stages[s].blocks[i].mlp
    optional "layers.{s}.downsample" = stages[s].downsample
    "head.fc" = head.fc
  }

  names authors {
    unseen table_window, trained_windows, window_image, eps
    ignore "*.relative_position_index", "*.relative_coords_table", "*.attn_mask"
    "patch_embed.proj" = patch_embed
    "patch_embed.norm" = patch_norm
    optional "absolute_pos_embed" = pos_embed
    "layers.{s}.blocks.{i}.norm1" = stages[s].blocks[i].norm1
    "layers.{s}.blocks.{i}.attn.qkv" = stages[s].blocks[i].attn.qkv
    optional "layers.{s}.blocks.{i}.attn.q_bias" = stages[s].blocks[i].attn.q_bias
    optional "layers.{s}.blocks.{i}.attn.v_bias" = stages[s].blocks[i].attn.v_bias
    "layers.{s}.blocks.{i}.attn.logit_scale" = stages[s].blocks[i].attn.logit_scale
    "layers.{s}.blocks.{i}.attn.cpb_mlp.0" = stages[s].blocks[i].attn.cpb_mlp.fc1
    "layers.{s}.blocks.{i}.attn.cpb_mlp.2" = stages[s].blocks[i].attn.cpb_mlp.fc2
    "layers.{s}.blocks.{i}.attn.proj" = stages[s].blocks[i].attn.proj
    "layers.{s}.blocks.{i}.norm2" = stages[s].blocks[i].norm2
    "layers.{s}.blocks.{i}.mlp" = stages[s].blocks[i].mlp
    optional "layers.{s - 1}.downsample" = stages[s].downsample
    "head" = head.fc
  }

  names huggingface {
    prefix "swinv2."
    unseen table_window, trained_windows, window_image, eps, far
    ignore "*.relative_position_index", "*.relative_coords_table", "swinv2.embeddings.mask_token"
    "swinv2.embeddings.patch_embeddings.projection" = patch_embed
    "swinv2.embeddings.norm" = patch_norm
    "swinv2.encoder.layers.{s}.blocks.{i}.layernorm_before" = stages[s].blocks[i].norm1
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.query" = stages[s].blocks[i].attn.qkv.q
    optional "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.query.bias" = stages[s].blocks[
      i
    ].attn.q_bias
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.key" = stages[s].blocks[i].attn.qkv.k
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.value" = stages[s].blocks[i].attn.qkv.v
    optional "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.value.bias" = stages[s].blocks[
      i
    ].attn.v_bias
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.logit_scale" = stages[s].blocks[
      i
    ].attn.logit_scale
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.continuous_position_bias_mlp.0" = stages[
      s
    ].blocks[i].attn.cpb_mlp.fc1
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.self.continuous_position_bias_mlp.2" = stages[
      s
    ].blocks[i].attn.cpb_mlp.fc2
    "swinv2.encoder.layers.{s}.blocks.{i}.attention.output.dense" = stages[s].blocks[i].attn.proj
    "swinv2.encoder.layers.{s}.blocks.{i}.layernorm_after" = stages[s].blocks[i].norm2
    "swinv2.encoder.layers.{s}.blocks.{i}.intermediate.dense" = stages[s].blocks[i].mlp.fc1
    "swinv2.encoder.layers.{s}.blocks.{i}.output.dense" = stages[s].blocks[i].mlp.fc2
    optional "swinv2.encoder.layers.{s - 1}.downsample" = stages[s].downsample
    "swinv2.layernorm" = norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "swinv2"
    match "use_absolute_embeddings" = false, none
    window_image = square("image_size") or 224
    trained_windows = "pretrained_window_sizes" or []
    far = 200
    set "architectures" = ["Swinv2ForImageClassification"]
  }
  config timm {
    match "architecture" = "swinv2_*"
    match "model_args.act_layer" = "gelu", none
    trained_windows = "model_args.pretrained_window_sizes"
  }
}

variant swinv2_tiny_window8_256 = swinv2_auto(
  table_image: 256,
  table_window: 8,
  dim0: 96,
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 24]
) {
  config timm {
    match "architecture" = "swinv2_tiny_window8_256"
  }
}

variant swinv2_tiny_window16_256 = swinv2_auto(
  table_image: 256,
  table_window: 16,
  dim0: 96,
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 24]
) {
  config timm {
    match "architecture" = "swinv2_tiny_window16_256"
  }
}

variant swinv2_small_window8_256 = swinv2_auto(
  table_image: 256,
  table_window: 8,
  dim0: 96,
  depths: [2, 2, 18, 2],
  heads: [3, 6, 12, 24]
) {
  config timm {
    match "architecture" = "swinv2_small_window8_256"
  }
}

variant swinv2_small_window16_256 = swinv2_auto(
  table_image: 256,
  table_window: 16,
  dim0: 96,
  depths: [2, 2, 18, 2],
  heads: [3, 6, 12, 24]
) {
  config timm {
    match "architecture" = "swinv2_small_window16_256"
  }
}

variant swinv2_base_window8_256 = swinv2_auto(
  table_image: 256,
  table_window: 8,
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  config timm {
    match "architecture" = "swinv2_base_window8_256"
  }
}

variant swinv2_base_window16_256 = swinv2_auto(
  table_image: 256,
  table_window: 16,
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  config timm {
    match "architecture" = "swinv2_base_window16_256"
  }
}


variant swinv2_base_window12_192 = swinv2_auto(
  table_image: 192,
  table_window: 12,
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  config timm {
    match "architecture" = "swinv2_base_window12_192"
  }
}

variant swinv2_base_window12to16_192to256 = swinv2_auto(
  table_image: 256,
  table_window: 16,
  trained_windows: [12, 12, 12, 6],
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  config timm {
    match "architecture" = "swinv2_base_window12to16_192to256"
  }
}

variant swinv2_large_window12_192 = swinv2_auto(
  table_image: 192,
  table_window: 12,
  dim0: 192,
  depths: [2, 2, 18, 2],
  heads: [6, 12, 24, 48]
) {
  config timm {
    match "architecture" = "swinv2_large_window12_192"
  }
}

variant swinv2_large_window12to16_192to256 = swinv2_auto(
  table_image: 256,
  table_window: 16,
  trained_windows: [12, 12, 12, 6],
  dim0: 192,
  depths: [2, 2, 18, 2],
  heads: [6, 12, 24, 48]
) {
  config timm {
    match "architecture" = "swinv2_large_window12to16_192to256"
  }
}


variant swinv2_base_window12to24_192to384 = swinv2_auto(
  table_image: 384,
  table_window: 24,
  trained_windows: [12, 12, 12, 6],
  dim0: 128,
  depths: [2, 2, 18, 2],
  heads: [4, 8, 16, 32]
) {
  preprocess = resize([image, image], bicubic),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "swinv2_base_window12to24_192to384"
  }
}

variant swinv2_large_window12to24_192to384 = swinv2_auto(
  table_image: 384,
  table_window: 24,
  trained_windows: [12, 12, 12, 6],
  dim0: 192,
  depths: [2, 2, 18, 2],
  heads: [6, 12, 24, 48]
) {
  preprocess = resize([image, image], bicubic),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "swinv2_large_window12to24_192to384"
  }
}
`,
  tinyvit: `



module ConvNorm(
  in: int,
  out: int,
  kernel: int = 1,
  stride: int = 1,
  groups: int = 1,
  folded: bool = false
) {
  conv = Conv2d(
    in -> out,
    kernel: kernel,
    stride: stride,
    padding: floor(kernel / 2),
    groups: groups,
    bias: folded
  )
  if not folded { bn = BatchNorm(out) }
  forward(x: [b, in, h, w]) { if folded { conv(x) } else { bn(conv(x)) } }
}

module ConvStem(channels: int, dim: int, folded: bool = false) {
  conv1 = ConvNorm(channels, dim / 2, kernel: 3, stride: 2, folded: folded)
  conv2 = ConvNorm(dim / 2, dim, kernel: 3, stride: 2, folded: folded)
  forward(x: [b, channels, h, w]) { conv2(gelu(conv1(x))) }
}


module MBConv(dim: int, hidden: int, drop: float = 0, folded: bool = false) {
  conv1 = ConvNorm(dim, hidden, folded: folded)
  conv2 = ConvNorm(hidden, hidden, kernel: 3, groups: hidden, folded: folded)
  conv3 = ConvNorm(hidden, dim, folded: folded)
  site branch(x: [b, dim, h, w]) = conv3(gelu(conv2(gelu(conv1(x)))))
  forward(x: [b, dim, h, w]) { gelu(x + drop_path(branch(x), drop)) }
}

module PatchMerging(in: int, out: int, stride: int = 2, folded: bool = false) {
  conv1 = ConvNorm(in, out, folded: folded)
  conv2 = ConvNorm(out, out, kernel: 3, stride: stride, groups: out, folded: folded)
  conv3 = ConvNorm(out, out, folded: folded)
  forward(x: [b, in, h, w]) { conv3(gelu(conv2(gelu(conv1(x))))) }
}


module OffsetAttention(dim: int, heads: int, window: int, folded: bool = false) {
  require(dim % heads == 0, "heads must divide dim")
  places = window * window

  qkv = Linear(dim -> 3 * dim)
  proj = Linear(dim -> dim)
  if folded {
    ab = param [heads, places, places] zeros
  } else {
    attention_biases = param [heads, places] zeros
    near = table(i < window, j < window: abs(i - j))
  }
  site attend(q: [b, h, n, d], k: [b, h, m, d], v: [b, h, m, d], bias) = attention(
    q,
    k,
    v,
    bias: bias
  )
  forward(x: [b, n, dim]) {
    q, k, v = rearrange(qkv(x), "b n (h part d) -> part b h n d", part: 3, h: heads)
    bias = if folded {
      ab
    } else {

      by_distance = reshape(attention_biases, [heads, window, window])
      by_place = gather(gather(by_distance, near, axis: 1), near, axis: 3)
      rearrange(by_place, "h yi yj xi xj -> h (yi xi) (yj xj)")
    }
    proj(rearrange(attend(q, k, v, bias[new]), "b h n d -> b n (h d)"))
  }
}

module TinyViTBlock(
  dim: int,
  heads: int,
  window: int,
  hidden: int = 4 * dim,
  conv: int = 3,
  drop: float = 0,
  folded: bool = false
) {
  norm1 = LayerNorm(dim)
  attn = OffsetAttention(dim, heads, window, folded: folded)
  local_conv = ConvNorm(dim, dim, kernel: conv, groups: dim, folded: folded)
  norm2 = LayerNorm(dim)
  mlp = Mlp(dim, hidden)

  site attn_branch(x: [b, h, w, dim]) = unwindowed(attn(norm1(windows(x, window))), window, h, w)
  site mlp_branch(x: [b, n, dim]) = mlp(norm2(x))
  forward(x: [b, h, w, dim]) {
    y = local_conv(channels_first(x + drop_path(attn_branch(x), drop)))
    t = grid_tokens(y)
    as_grid(t + drop_path(mlp_branch(t), drop), h)
  }
}


module TinyViTStage(
  in: int,
  out: int,
  depth: int,
  heads: int,
  window: int,
  stride: int,
  expand: float,
  mlp_ratio: float,
  drop: float,
  before: int,
  all: int,
  folded: bool
) {
  if window > 0 {
    downsample = PatchMerging(in, out, stride: stride, folded: folded)
    blocks = repeat i < depth {
      TinyViTBlock(
        out,
        heads,
        window,
        hidden: floor(mlp_ratio * out),
        drop: drop_rate(drop, before + i, all),
        folded: folded
      )
    }
  } else {
    blocks = repeat i < depth {
      MBConv(out, floor(expand * out), drop: drop_rate(drop, before + i, all), folded: folded)
    }
  }
  forward(x: [b, in, h, w]) {
    if window > 0 { channels_first(blocks(channels_last(downsample(x)))) } else { blocks(x) }
  }
}




backbone tinyvit(
  usual_image: int = 224,
  image: int = usual_image,
  channels: int = 3,
  dims: [int],
  depths: [int],
  heads: [int],
  windows: [int],
  strides: [int] = [1, 2, 2, 2],
  expand: float = 4,
  mlp_ratio: float = 4,
  drop_path_rate: float = 0,
  features: int = 0,
  folded: bool = false
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  number = size(dims)
  require(number >= 1, "there must be at least one stage")
  require(
    min([size(depths), size(heads), size(windows), size(strides)]) >= number,
    "each stage needs a depth, a number of heads, a window and a stride; those of the first one mean nothing"
  )
  patch_embed = ConvStem(channels, dims[0], folded: folded)
  stages = repeat s < number {
    TinyViTStage(
      dims[max([s - 1, 0])],
      dims[s],
      depths[s],
      heads[s],
      if s == 0 { 0 } else { windows[s] },
      strides[s],
      expand,
      mlp_ratio,
      drop_path_rate,
      sum(r < s: depths[r]),
      sum(depths),
      folded
    )
  }
  levels = repeat s < number { stages[s] }
  level_dims = repeat s < number { dims[s] }
  level_axis = 1
  last = dims[number - 1]
  if features > 0 {
    neck = ConvNeck(last, features)
    dim = features
  } else {
    norm = LayerNorm(last)
    dim = last

    class_tokens = 1
    register_tokens = 0
  }
  forward(pixels: [b, channels, image, image]) {
    t = stages(patch_embed(pixels))
    if features > 0 {
      neck(t)
    } else {
      patches = grid_tokens(t)
      concat(norm(mean(patches, axis: 1, keep: true)), patches, axis: 1)
    }
  }
}


variant tiny_vit = tinyvit() {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  names timm {
    unseen strides
    ignore "*.num_batches_tracked", "*.attention_bias_idxs"
    optional "stages.{s}.blocks.{i}.attn.norm" = stages[s].blocks[i].norm1
    optional "stages.{s}.blocks.{i}.mlp.norm" = stages[s].blocks[i].norm2
    optional "head.norm" = norm
    "head.fc" = head.fc
  }

  config timm {
    match "architecture" = "tiny_vit_*"
    match "model_args.global_pool" or "global_pool" or "pretrained_cfg.global_pool" = "avg", none
    match "model_args.local_conv_size" = 3, none
    match "model_args.act_layer" = "gelu", none
    sizes "architecture"
    only "model_args" = "num_classes", "*drop_rate", "drop_path_rate", "use_checkpoint"
    usual_image = square("pretrained_cfg.input_size") or square("input_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dims = "model_args.embed_dims"
    depths = "model_args.depths"
    heads = "model_args.num_heads"
    windows = "model_args.window_sizes"
    mlp_ratio = amount("model_args.mlp_ratio")
    expand = amount("model_args.mbconv_expand_ratio")
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }

  names authors {
    prefix "image_encoder."
    unseen strides
    ignore "*.num_batches_tracked",
      "*.attention_bias_idxs",
      "image_encoder.norm_head.*",
      "prompt_encoder.*",
      "mask_decoder.*"
    "image_encoder.patch_embed.seq.0.c" = patch_embed.conv1.conv
    optional "image_encoder.patch_embed.seq.0.bn" = patch_embed.conv1.bn
    "image_encoder.patch_embed.seq.2.c" = patch_embed.conv2.conv
    optional "image_encoder.patch_embed.seq.2.bn" = patch_embed.conv2.bn
    optional "image_encoder.layers.{s}.blocks.{i}.conv1.c" = stages[s].blocks[i].conv1.conv
    optional "image_encoder.layers.{s}.blocks.{i}.conv1.bn" = stages[s].blocks[i].conv1.bn
    optional "image_encoder.layers.{s}.blocks.{i}.conv2.c" = stages[s].blocks[i].conv2.conv
    optional "image_encoder.layers.{s}.blocks.{i}.conv2.bn" = stages[s].blocks[i].conv2.bn
    optional "image_encoder.layers.{s}.blocks.{i}.conv3.c" = stages[s].blocks[i].conv3.conv
    optional "image_encoder.layers.{s}.blocks.{i}.conv3.bn" = stages[s].blocks[i].conv3.bn
    optional "image_encoder.layers.{s - 1}.downsample.conv1.c" = stages[s].downsample.conv1.conv
    optional "image_encoder.layers.{s - 1}.downsample.conv1.bn" = stages[s].downsample.conv1.bn
    optional "image_encoder.layers.{s - 1}.downsample.conv2.c" = stages[s].downsample.conv2.conv
    optional "image_encoder.layers.{s - 1}.downsample.conv2.bn" = stages[s].downsample.conv2.bn
    optional "image_encoder.layers.{s - 1}.downsample.conv3.c" = stages[s].downsample.conv3.conv
    optional "image_encoder.layers.{s - 1}.downsample.conv3.bn" = stages[s].downsample.conv3.bn
    optional "image_encoder.layers.{s}.blocks.{i}.attn.norm" = stages[s].blocks[i].norm1
    optional "image_encoder.layers.{s}.blocks.{i}.attn.attention_biases" = stages[s].blocks[
      i
    ].attn.attention_biases
    optional "image_encoder.layers.{s}.blocks.{i}.attn.ab"
      or "image_encoder.layers.{s}.blocks.{i}.attn.bias" = stages[s].blocks[i].attn.ab
    optional "image_encoder.layers.{s}.blocks.{i}.attn.qkv" = stages[s].blocks[i].attn.qkv
    optional "image_encoder.layers.{s}.blocks.{i}.attn.proj" = stages[s].blocks[i].attn.proj
    optional "image_encoder.layers.{s}.blocks.{i}.local_conv.c" = stages[s].blocks[
      i
    ].local_conv.conv
    optional "image_encoder.layers.{s}.blocks.{i}.local_conv.bn" = stages[s].blocks[i].local_conv.bn
    optional "image_encoder.layers.{s}.blocks.{i}.mlp.norm" = stages[s].blocks[i].norm2
    optional "image_encoder.layers.{s}.blocks.{i}.mlp.fc1" = stages[s].blocks[i].mlp.fc1
    optional "image_encoder.layers.{s}.blocks.{i}.mlp.fc2" = stages[s].blocks[i].mlp.fc2
    optional "image_encoder.norm_head" = norm
    "image_encoder.head" = head.fc
    optional "image_encoder.neck.0" = neck.conv1
    optional "image_encoder.neck.1" = neck.norm1
    optional "image_encoder.neck.2" = neck.conv2
    optional "image_encoder.neck.3" = neck.norm2
  }

  names onnx {
    unseen strides
    "patch_embed.seq.0.c" = patch_embed.conv1.conv
    "patch_embed.seq.2.c" = patch_embed.conv2.conv
    optional "layers.{s}.blocks.{i}.conv1.c" = stages[s].blocks[i].conv1.conv
    optional "layers.{s}.blocks.{i}.conv2.c" = stages[s].blocks[i].conv2.conv
    optional "layers.{s}.blocks.{i}.conv3.c" = stages[s].blocks[i].conv3.conv
    optional "layers.{s - 1}.downsample.conv1.c" = stages[s].downsample.conv1.conv
    optional "layers.{s - 1}.downsample.conv2.c" = stages[s].downsample.conv2.conv
    optional "layers.{s - 1}.downsample.conv3.c" = stages[s].downsample.conv3.conv
    optional "layers.{s}.blocks.{i}.attn.norm" = stages[s].blocks[i].norm1
    optional "layers.{s}.blocks.{i}.attn.bias" = stages[s].blocks[i].attn.ab
    optional "layers.{s}.blocks.{i}.attn.qkv" = stages[s].blocks[i].attn.qkv
    optional "layers.{s}.blocks.{i}.attn.proj" = stages[s].blocks[i].attn.proj
    optional "layers.{s}.blocks.{i}.local_conv.c" = stages[s].blocks[i].local_conv.conv
    optional "layers.{s}.blocks.{i}.mlp.norm" = stages[s].blocks[i].norm2
    optional "layers.{s}.blocks.{i}.mlp.fc1" = stages[s].blocks[i].mlp.fc1
    optional "layers.{s}.blocks.{i}.mlp.fc2" = stages[s].blocks[i].mlp.fc2
    optional "neck.0" = neck.conv1
    optional "neck.1.gain" = neck.norm1.weight[:, new, new]
    optional "neck.1.shift" = neck.norm1.bias[:, new, new]
    optional "neck.2" = neck.conv2
    optional "neck.3.gain" = neck.norm2.weight[:, new, new]
    optional "neck.3.shift" = neck.norm2.bias[:, new, new]
  }
}

variant tiny_vit_5m = tiny_vit(
  dims: [64, 128, 160, 320],
  depths: [2, 2, 6, 2],
  heads: [2, 4, 5, 10],
  windows: [7, 7, 14, 7]
) {
  config timm {
    match "architecture" = "tiny_vit_5m_224"
  }
}

variant tiny_vit_11m = tiny_vit(
  dims: [64, 128, 256, 448],
  depths: [2, 2, 6, 2],
  heads: [2, 4, 8, 14],
  windows: [7, 7, 14, 7]
) {
  config timm {
    match "architecture" = "tiny_vit_11m_224"
  }
}

variant tiny_vit_21m = tiny_vit(
  dims: [96, 192, 384, 576],
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 18],
  windows: [7, 7, 14, 7]
) {
  config timm {
    match "architecture" = "tiny_vit_21m_224"
  }
}


variant tiny_vit_21m_384 = tiny_vit(
  usual_image: 384,
  dims: [96, 192, 384, 576],
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 18],
  windows: [12, 12, 24, 12]
) {
  preprocess = resize(image, bicubic),
    crop(image, even),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "tiny_vit_21m_384"
  }
}

variant tiny_vit_21m_512 = tiny_vit(
  usual_image: 512,
  dims: [96, 192, 384, 576],
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 18],
  windows: [16, 16, 32, 16]
) {
  preprocess = resize([image, image], bicubic),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
  config timm {
    match "architecture" = "tiny_vit_21m_512"
  }
}


variant mobile_sam(image: int = 1024) = tiny_vit_5m(
  image: image,
  strides: [1, 2, 2, 1],
  features: 256
) {

  preprocess = resize(longest: image),
    normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]),
    pad(image)
}
`,
  training: `





optimizer adamw(
  lr: float = 1e-3,
  betas: [float] = [0.9, 0.999],
  eps: float = 1e-8,
  weight_decay: float = 1e-2
) {
  require(size(betas) == 2, "betas are two numbers")
  m = state zeros
  v = state zeros
  forward(weight, gradient, rate, count) {
    m = betas[0] * m + (1 - betas[0]) * gradient
    v = betas[1] * v + (1 - betas[1]) * (gradient * gradient)
    size = sqrt(v) / sqrt(1 - pow(betas[1], count)) + eps
    (1 - rate * weight_decay) * weight - (rate / (1 - pow(betas[0], count))) * (m / size)
  }
}


optimizer adam(
  lr: float = 1e-3,
  betas: [float] = [0.9, 0.999],
  eps: float = 1e-8,
  weight_decay: float = 0
) {
  require(size(betas) == 2, "betas are two numbers")
  m = state zeros
  v = state zeros
  forward(weight, gradient, rate, count) {
    g = gradient + weight_decay * weight
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * (g * g)
    size = sqrt(v) / sqrt(1 - pow(betas[1], count)) + eps
    weight - (rate / (1 - pow(betas[0], count))) * (m / size)
  }
}


optimizer sgd(
  lr: float,
  momentum: float = 0,
  dampening: float = 0,
  weight_decay: float = 0,
  nesterov: bool = false
) {
  require(
    not nesterov or momentum > 0 and dampening == 0,
    "nesterov needs a momentum, and no dampening"
  )
  if momentum > 0 { v = state zeros }
  forward(weight, gradient, rate, count) {
    g = gradient + weight_decay * weight
    v = if momentum > 0 { momentum * v + where(count == 1, 1, 1 - dampening) * g } else { g }
    weight - rate * if nesterov { g + momentum * v } else { v }
  }
}


optimizer lion(lr: float = 1e-4, betas: [float] = [0.9, 0.99], weight_decay: float = 0) {
  require(size(betas) == 2, "betas are two numbers")
  m = state zeros
  forward(weight, gradient, rate, count) {
    u = sign(betas[0] * m + (1 - betas[0]) * gradient)
    m = betas[1] * m + (1 - betas[1]) * gradient
    (1 - rate * weight_decay) * weight - rate * u
  }
}




function warmed(lr: float, epoch: int, first: int, warmup_lr: float, after: float) = if epoch <
  first {
  warmup_lr + (epoch * (lr - warmup_lr)) / first
} else {
  after
}

function constant(
  lr: float,
  epoch: int,
  epochs: int,
  warmup: int = 0,
  warmup_lr: float = lr / 100
) = warmed(lr, epoch, warmup, warmup_lr, lr)



function cosine(
  lr: float,
  epoch: int,
  epochs: int,
  warmup: int = 0,
  warmup_lr: float = lr / 100,
  lr_min: float = 0,
  prefix: bool = false,
  cycle: int = epochs,
  cycles: int = 1,
  cycle_mul: float = 1,
  cycle_decay: float = 1
) {
  require(cycle >= 1 and cycle_mul >= 1, "a cycle has an epoch, and the next no fewer")
  t = maximum(if prefix { epoch - warmup } else { epoch }, 0)
  grows = cycle_mul > 1

  n = floor(if grows { log(1 + (t / cycle) * (cycle_mul - 1)) / log(cycle_mul) } else { t / cycle })
  began = cycle * if grows { (pow(cycle_mul, n) - 1) / (cycle_mul - 1) } else { n }
  share = (t - began) / (cycle * pow(cycle_mul, n))
  top = lr * pow(cycle_decay, n)
  down = if n < cycles {
    lr_min + ((top - lr_min) * (1 + cos(3.141592653589793 * share))) / 2
  } else {
    lr_min
  }
  warmed(lr, epoch, warmup, warmup_lr, down)
}


function step(
  lr: float,
  epoch: int,
  epochs: int,
  gamma: float,
  every: int = 1,
  warmup: int = 0,
  warmup_lr: float = lr / 100,
  prefix: bool = false
) {
  t = if prefix { epoch - warmup } else { epoch }
  warmed(lr, epoch, warmup, warmup_lr, lr * pow(gamma, floor(t / every)))
}



function one_cycle(
  lr: float,
  step: int,
  steps: int,
  epochs: int,
  up: float = 0.3,
  start: float = 25,
  end: float = 1e4,
  anneal: cos | linear = cos,
  three_phase: bool = false
) {
  require(not three_phase or up < 0.5, "up and down again are less than all steps")
  first = lr / start
  top = up * steps - 1
  back = if three_phase { 2 * top } else { top }
  rising = step <= top
  falling = three_phase and step > top and step <= back
  begin = if rising { 0 } else { if falling { top } else { back } }
  finish = if rising { top } else { if falling { back } else { steps - 1 } }
  share = (step - begin) / (finish - begin)
  from = if rising or three_phase and not falling { first } else { lr }
  to = if rising { lr } else { if falling { first } else { first / end } }
  if anneal == cos {
    to + ((from - to) * (1 + cos(3.141592653589793 * share))) / 2
  } else {
    (from + (to - from) * share)
  }
}




function log_softmax(x: tensor) {
  y = x - stop_gradient(max(x, axis: -1, keep: true))
  y - log(sum(exp(y), axis: -1, keep: true))
}


function cross_entropy(
  prediction: tensor,
  target: tensor,
  smoothing: float = 0,
  weights: [float] | none = none,
  over: weighted | plain = weighted
) {
  classes = size(prediction, axis: -1)
  terms = ((1 - smoothing) * target + smoothing / classes) * log_softmax(prediction)
  if weights == none {
    -mean(sum(terms, axis: -1))
  } else {
    require(size(weights) == classes, "weights are as many as there are classes")
    w = table(i < classes: weights[i])
    if over == weighted {
      -sum(w * terms) / sum(w * target)
    } else {
      -mean(sum(w * terms, axis: -1))
    }
  }
}


function binary_cross_entropy(prediction: tensor, target: tensor, present: [float] | none = none) {
  tail = log(1 + exp(-abs(prediction)))
  if present == none {
    mean(maximum(prediction, 0) - prediction * target + tail)
  } else {
    w = table(i < size(prediction, axis: -1): present[i])
    mean((1 - target) * prediction + (1 + (w - 1) * target) * (tail + maximum(-prediction, 0)))
  }
}

function mse(prediction: tensor, target: tensor) = mean(
  (prediction - target) * (prediction - target)
)

function l1(prediction: tensor, target: tensor) = mean(abs(prediction - target))


function huber(prediction: tensor, target: tensor, delta: float = 1) {
  d = abs(prediction - target)
  mean(where(d <= delta, 0.5 * d * d, delta * (d - delta / 2)))
}


function count_error(prediction: tensor, target: tensor, scale: float = 100) = mse(
  scale * prediction,
  scale * target
)
`,
  transformer: `



function drop_rate(rate: float, block: int, blocks: int) = if blocks > 1 {
  (rate * block) / (blocks - 1)
} else {
  0
}


function read_block(i: int, depth: int) = ceil((depth * (i + 1)) / min([4, depth])) - 1


module LayerScale(dim: int, start: float) {
  gamma = param [dim] start
  forward(x) { gamma * x }
}


function activated(x: tensor, by: gelu | gelu_tanh | quick_gelu | relu | silu) = if by == gelu {
  gelu(x)
} else {
  if by == gelu_tanh {
    gelu(x, form: tanh)
  } else {
    if by == quick_gelu { gelu(x, form: quick) } else { if by == relu { relu(x) } else { silu(x) } }
  }
}


function query_value_bias(q_bias: tensor, v_bias: tensor) = concat(
  q_bias,
  pad(v_bias, size(q_bias, 0), 0),
  axis: 0
)



module Attention(
  dim: int,
  heads: int,
  bias: bool = true,
  qk_norm: bool = false,
  eps: float = 1e-6,
  proj_bias: bool = true,
  k_bias: bool = true,
  place: module | none = none,
  turn: module | none = none,
  inner_norm: bool = false
) {
  require(dim % heads == 0, "heads must divide dim")
  qkv = Linear(dim -> {q: dim, k: dim, v: dim}, bias: bias and k_bias)
  apart = bias and not k_bias
  if apart {
    q_bias = param [dim] zeros
    v_bias = param [dim] zeros
  }

  if qk_norm {
    q_norm = LayerNorm(dim / heads, eps: eps)
    k_norm = LayerNorm(dim / heads, eps: eps)
  }
  if inner_norm { norm = LayerNorm(dim, eps: eps) }
  proj = Linear(dim -> dim, bias: proj_bias)

  site attend(q: [b, h, n, d], k: [b, h, m, d], v: [b, h, m, d], bias) = attention(
    q,
    k,
    v,
    bias: bias
  )
  forward(x: [b, n, dim]) {
    t = if apart { qkv(x) + query_value_bias(q_bias, v_bias) } else { qkv(x) }
    q, k, v = rearrange(t, "b n (part h d) -> part b h n d", part: 3, h: heads)
    near = if place == none { none } else { place() }
    query = if qk_norm { q_norm(q) } else { q }
    key = if qk_norm { k_norm(k) } else { k }

    turned = if turn == none { none } else { turn(concat(query, key, axis: 1)) }
    y = if turn == none {
      attend(query, key, v, near)
    } else {
      attend(turned[:, 0..heads], turned[:, heads..], v, near)
    }
    z = rearrange(y, "b h n d -> b n (h d)")
    proj(if inner_norm { norm(z) } else { z })
  }
}



module Mlp(
  dim: int,
  hidden: int,
  gated: bool = false,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu,
  bias: bool = true,
  inner_norm: bool = false,
  eps: float = 1e-6
) {
  if gated {
    w12 = Linear(dim -> {gate: hidden, up: hidden}, bias: bias)
    w3 = Linear(hidden -> dim, bias: bias)
  } else {
    fc1 = Linear(dim -> hidden, bias: bias)
    fc2 = Linear(hidden -> dim, bias: bias)
  }
  if inner_norm { norm = LayerNorm(hidden, eps: eps) }

  site activate(h) = if gated {
    silu(h[:, :, 0..hidden]) * h[:, :, hidden..]
  } else {
    activated(h, activation)
  }
  forward(x: [b, n, dim]) {
    h = activate(if gated { w12(x) } else { fc1(x) })
    y = if inner_norm { norm(h) } else { h }
    if gated { w3(y) } else { fc2(y) }
  }
}


module Block(
  dim: int,
  heads: int,
  hidden: int = 4 * dim,
  eps: float = 1e-6,
  qkv_bias: bool = true,
  drop: float = 0,
  qk_norm: bool = false,
  layer_scale: float = 0,
  gated: bool = false,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = gelu,
  proj_bias: bool = true,
  k_bias: bool = true,
  place: module | none = none,
  turn: module | none = none,
  attn_norm: bool = false,
  mlp_norm: bool = false
) {
  norm1 = LayerNorm(dim, eps: eps)
  attn = Attention(
    dim,
    heads,
    bias: qkv_bias,
    qk_norm: qk_norm,
    eps: eps,
    proj_bias: proj_bias,
    k_bias: k_bias,
    place: place,
    turn: turn,
    inner_norm: attn_norm
  )
  norm2 = LayerNorm(dim, eps: eps)
  mlp = Mlp(
    dim,
    hidden,
    gated: gated,
    activation: activation,
    bias: proj_bias,
    inner_norm: mlp_norm,
    eps: eps
  )
  if layer_scale > 0 {
    ls1 = LayerScale(dim, layer_scale)
    ls2 = LayerScale(dim, layer_scale)
  }
  site attn_branch(x) = attn(norm1(x))
  site mlp_branch(x) = mlp(norm2(x))
  forward(x: [b, n, dim]) {
    a = attn_branch(x)
    y = x + drop_path(if layer_scale > 0 { ls1(a) } else { a }, drop)
    m = mlp_branch(y)
    y + drop_path(if layer_scale > 0 { ls2(m) } else { m }, drop)
  }
}
`,
  vit: `




backbone vit(
  table_image: int | [int] | none = none,
  image: int | [int] = if table_image == none { 224 } else { table_image },
  patch: int = 16,
  channels: int = 3,
  dim: int,
  depth: int,
  heads: int,
  mlp_ratio: float = 4,
  hidden: int = floor(mlp_ratio * dim),
  eps: float = 1e-6,
  qkv_bias: bool = true,
  drop_path_rate: float = 0,
  class_token: bool = true,
  distilled: none | token | classifier = none,
  registers: int = 0,
  no_embed_class: bool = false,
  pre_norm: bool = false,
  patch_bias: bool = not pre_norm,
  layer_scale: float = 0,
  qk_norm: bool = false,
  proj_bias: bool = true,
  gated: bool = false,
  activation: gelu | gelu_tanh | quick_gelu | relu | silu = if gated { silu } else { gelu },
  k_bias: bool = true,
  attn_norm: bool = false,
  mlp_norm: bool = false,
  absolute: bool = true,
  rotary: none | centred | counted = none,
  rotary_base: float = 10000,
  rotary_grid: int | [int] | none = none,
  global_pool: token | avg | max | avgmax = token,
  final_norm: bool = true,
  pooled_norm: bool = global_pool != token,
  position_filter: bicubic | bilinear = bicubic,
  position_antialias: bool = true
) {
  require(drop_path_rate >= 0 and drop_path_rate < 1, "drop_path_rate is from 0 to below 1")
  require(depth >= 1, "depth must be at least 1")
  require(registers >= 0, "registers must be at least 0")
  require(not gated or activation == silu, "a gated MLP is one of silu")
  require(
    class_token or global_pool != token,
    "without a class token it pools: say global_pool: avg"
  )
  require(distilled == none or class_token, "a distillation token comes after a class token")
  require(
    distilled != classifier or global_pool == token,
    "a distilled model of two classifiers reads its tokens: say global_pool: token"
  )
  side = sides(image)
  grid = side / patch
  table_grid = if table_image == none { grid } else { sides(table_image) / patch }
  patch_embed = Conv2d(channels -> dim, kernel: patch, stride: patch, bias: patch_bias)
  if class_token { cls_token = param [1, 1, dim] zeros }
  if distilled != none { dist_token = param [1, 1, dim] zeros }
  if registers > 0 { reg_token = param [1, registers, dim] zeros }

  prefix = registers + if class_token { 1 } else { 0 } + if distilled == none { 0 } else { 1 }
  placed = if no_embed_class { 0 } else { prefix }
  if absolute { pos_embed = param [1, placed + table_grid[0] * table_grid[1], dim] normal(0.02) }
  if rotary != none {
    rope = Rotary(
      dim / heads,
      prefix,
      grid,
      rotary_base,
      centred: rotary == centred,
      counted_in: if rotary_grid == none { grid } else { rotary_grid }
    )
  }
  if pre_norm { norm_pre = LayerNorm(dim, eps: eps) }
  blocks = repeat i < depth {
    Block(
      dim,
      heads,
      hidden: hidden,
      eps: eps,
      qkv_bias: qkv_bias,
      drop: drop_rate(drop_path_rate, i, depth),
      qk_norm: qk_norm,
      layer_scale: layer_scale,
      gated: gated,
      activation: activation,
      proj_bias: proj_bias,
      k_bias: k_bias,
      turn: if rotary == none { none } else { rope },
      attn_norm: attn_norm,
      mlp_norm: mlp_norm
    )
  }
  levels = repeat i < min([4, depth]) { blocks[read_block(i, depth)] }
  level_dims = repeat i < min([4, depth]) { dim }
  level_axis = 2

  if final_norm and not pooled_norm { norm = LayerNorm(dim, eps: eps) }
  if final_norm and pooled_norm { fc_norm = LayerNorm(dim, eps: eps) }

  class_tokens = if distilled == classifier { 2 } else { 1 }
  register_tokens = if global_pool == token { (prefix - class_tokens) } else { prefix }
  forward(pixels: [b, channels, side[0], side[1]]) {
    p = grid_tokens(patch_embed(pixels))
    place = if absolute {
      positions(
        pos_embed,
        placed,
        table_grid,
        grid,
        filter: position_filter,
        antialias: position_antialias
      )
    } else {
      none
    }
    t = if absolute and no_embed_class { p + place } else { p }
    r = if registers > 0 { concat(expand(reg_token, b), t, axis: 1) } else { t }
    s = if distilled == none { r } else { concat(expand(dist_token, b), r, axis: 1) }
    c = if class_token { concat(expand(cls_token, b), s, axis: 1) } else { s }
    y = if no_embed_class or not absolute { c } else { c + place }
    z = blocks(if pre_norm { norm_pre(y) } else { y })
    tokens = if final_norm and not pooled_norm { norm(z) } else { z }
    if global_pool == token {
      if final_norm and pooled_norm { fc_norm(tokens) } else { tokens }
    } else {
      patches = tokens[:, prefix..]
      average = mean(patches, axis: 1, keep: true)
      largest = max(patches, axis: 1, keep: true)
      pooled = if global_pool == avg {
        average
      } else {
        if global_pool == max { largest } else { (average + largest) / 2 }
      }
      concat(if final_norm and pooled_norm { fc_norm(pooled) } else { pooled }, tokens, axis: 1)
    }
  }
}


variant vit_auto = vit() {
  preprocess = resize(image, bicubic), crop(image), normalize(mean: 0.5, std: 0.5)

  names timm {
    prefix "timm_model."
    bypassed "*.attn.qkv" = "q_bias"
    unseen heads, eps, activation, global_pool, rotary_base, position_filter, position_antialias
    "patch_embed.proj" = patch_embed
    optional "blocks.{i}.ls1.gamma" or "blocks.{i}.gamma_1" = blocks[i].ls1.gamma
    optional "blocks.{i}.ls2.gamma" or "blocks.{i}.gamma_2" = blocks[i].ls2.gamma
    optional "blocks.{i}.mlp.fc1_g" = blocks[i].mlp.w12.gate
    optional "blocks.{i}.mlp.fc1_x" = blocks[i].mlp.w12.up
    optional "blocks.{i}.mlp.fc2" = blocks[i].mlp.w3
    "head" = head.fc
    "head_dist" = head.fc_dist
  }

  names huggingface {
    prefix "vit."
    ignore "vit.pooler.*", "vit.embeddings.mask_token"
    unseen heads, eps, activation, position_antialias
    optional "vit.embeddings.cls_token" = cls_token
    optional "vit.embeddings.position_embeddings" = pos_embed
    "vit.embeddings.patch_embeddings.projection" = patch_embed
    "vit.encoder.layer.{i}.layernorm_before" or "vit.layers.{i}.layernorm_before" = blocks[i].norm1
    "vit.encoder.layer.{i}.attention.attention.query"
      or "vit.layers.{i}.attention.q_proj" = blocks[i].attn.qkv.q
    "vit.encoder.layer.{i}.attention.attention.key"
      or "vit.layers.{i}.attention.k_proj" = blocks[i].attn.qkv.k
    "vit.encoder.layer.{i}.attention.attention.value"
      or "vit.layers.{i}.attention.v_proj" = blocks[i].attn.qkv.v
    "vit.encoder.layer.{i}.attention.output.dense"
      or "vit.layers.{i}.attention.o_proj" = blocks[i].attn.proj
    "vit.encoder.layer.{i}.layernorm_after" or "vit.layers.{i}.layernorm_after" = blocks[i].norm2
    optional "vit.encoder.layer.{i}.intermediate.dense"
      or "vit.layers.{i}.mlp.fc1" = blocks[i].mlp.fc1
    optional "vit.encoder.layer.{i}.output.dense" or "vit.layers.{i}.mlp.fc2" = blocks[i].mlp.fc2
    optional "vit.layernorm" = norm
    "classifier" = head.fc
  }

  config huggingface {
    match "model_type" = "vit"
    table_image = square("image_size") or 224
    patch = square("patch_size") or 16
    channels = count("num_channels") or 3
    dim = count("hidden_size") or 768
    depth = count("num_hidden_layers") or 12
    heads = count("num_attention_heads") or 12
    hidden = count("intermediate_size") or 3072
    eps = amount("layer_norm_eps") or 1e-12
    qkv_bias = "qkv_bias" or true
    activation = word(
      "hidden_act",
      gelu_python: gelu,
      gelu_new: gelu_tanh,
      gelu_fast: gelu_tanh,
      gelu_pytorch_tanh: gelu_tanh,
      swish: silu
    ) or gelu
    position_antialias = false
    labels "id2label" or ["LABEL_0", "LABEL_1"]
    several "problem_type" = "multi_label_classification"
    set "architectures" = ["ViTForImageClassification"]
    set "id2label" = names
    set "label2id" = places
    set "num_labels" = none
  }

  config timm {
    match "architecture" = "vit_*", "deit_*", "deit3_*", "eva_large_*", "flexivit_*"
    sizes "architecture"
    only "model_args" = "img_size",
      "num_classes",
      "*drop*rate",
      "weight_init",
      "fix_init",
      "strict_img_size",
      "dynamic_img_*"
    match "model_args.pos_embed" = "learn", none
    match "model_args.pool_include_prefix" = false, none
    table_image = square("model_args.img_size") or square("pretrained_cfg.input_size") or square(
        "input_size"
      )
    patch = square("model_args.patch_size")
    channels = count("model_args.in_chans") or count("pretrained_cfg.input_size.0") or count(
        "input_size.0"
      )
    dim = count("model_args.embed_dim")
    depth = count("model_args.depth")
    heads = count("model_args.num_heads")
    mlp_ratio = amount("model_args.mlp_ratio")
    qkv_bias = "model_args.qkv_bias"
    class_token = "model_args.class_token"
    registers = "model_args.reg_tokens"
    no_embed_class = "model_args.no_embed_class"
    pre_norm = "model_args.pre_norm"
    layer_scale = amount("model_args.init_values")
    qk_norm = "model_args.qk_norm"
    proj_bias = "model_args.proj_bias"
    activation = word("model_args.act_layer", swish: silu)
    global_pool = word("model_args.global_pool") or word("global_pool") or word(
        "pretrained_cfg.global_pool"
      )
    final_norm = "model_args.final_norm"
    pooled_norm = "model_args.fc_norm"
    labels "label_names" or "pretrained_cfg.label_names" or "labels" or count("num_classes") or
      count("pretrained_cfg.num_classes")
    set "num_classes" = count
    set "label_names" = list
    set "label_descriptions" = none
  }

  processor timm {
    match "architecture" = "*"
    share = "pretrained_cfg.crop_pct" or "crop_pct" or 0.875
    mode = "pretrained_cfg.crop_mode" or "crop_mode" or none
    filter = "pretrained_cfg.interpolation" or "interpolation" or none
    mean = "pretrained_cfg.mean" or "mean" or [0.485, 0.456, 0.406]
    std = "pretrained_cfg.std" or "std" or [0.229, 0.224, 0.225]
    edge = floor(image / share)

    set "size" = if mode == "squash" or image == sides(image) {
      sized(edge)
    } else {
      {shortest_edge: edge}
    }
    set "resample" = if filter == none or filter == "bicubic" {
      3
    } else {
      if filter == "bilinear" { 2 } else { if filter == "nearest" { 0 } else { filter } }
    }
    set "do_center_crop" = true
    set "crop_size" = sized(image)
    set "crop_rounding" = "even"
    set "do_crop_by_border" = mode == "border"
    set "image_mean" = mean
    set "image_std" = std
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "ViTImageProcessor*",
      "ViTFeatureExtractor*",
      none
    given = "size" or {height: 224, width: 224}

    set "size" = if table_image == none or table_image == image {
      given
    } else {
      sized(image)
    }
    "crop_size" = 224
    "default_to_square" = true
    "resample" = 2
    "do_center_crop" = false
    "image_mean" = 0.5
    "image_std" = 0.5
  }

  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "ViT*", "DeiT*", "Beit*"
    "default_to_square" = true
  }
  processor huggingface {
    match "image_processor_type" or "feature_extractor_type" = "CLIP*",
      "Bit*",
      "Siglip*",
      "Chinese*"
    "default_to_square" = false
  }
}

variant vit_tiny_patch16 = vit_auto(patch: 16, dim: 192, depth: 12, heads: 3) {
  config timm {
    match "architecture" = "vit_tiny_patch16_224", "vit_tiny_patch16_384"
  }
}

variant vit_small_patch8 = vit_auto(patch: 8, dim: 384, depth: 12, heads: 6) {
  config timm {
    match "architecture" = "vit_small_patch8_224"
  }
}

variant vit_small_patch16 = vit_auto(patch: 16, dim: 384, depth: 12, heads: 6) {
  config timm {
    match "architecture" = "vit_small_patch16_224", "vit_small_patch16_384"
  }
}

variant vit_small_patch32 = vit_auto(patch: 32, dim: 384, depth: 12, heads: 6) {
  config timm {
    match "architecture" = "vit_small_patch32_224", "vit_small_patch32_384"
  }
}

variant vit_base_patch8 = vit_auto(patch: 8, dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch8_224"
  }
}

variant vit_base_patch16 = vit_auto(patch: 16, dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch16_224", "vit_base_patch16_384"
  }
}

variant vit_base_patch32 = vit_auto(patch: 32, dim: 768, depth: 12, heads: 12) {
  config timm {
    match "architecture" = "vit_base_patch32_224", "vit_base_patch32_384"
  }
}

variant vit_large_patch16 = vit_auto(patch: 16, dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch16_224", "vit_large_patch16_384"
  }
}

variant vit_large_patch32 = vit_auto(patch: 32, dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch32_224", "vit_large_patch32_384"
  }
}

variant vit_large_patch14 = vit_auto(patch: 14, dim: 1024, depth: 24, heads: 16) {
  config timm {
    match "architecture" = "vit_large_patch14_224"
  }
}

variant vit_huge_patch14 = vit_auto(patch: 14, dim: 1280, depth: 32, heads: 16) {
  config timm {
    match "architecture" = "vit_huge_patch14_224"
  }
}

variant vit_giant_patch14 = vit_auto(
  patch: 14,
  dim: 1408,
  depth: 40,
  heads: 16,
  mlp_ratio: 48 / 11
) {
  config timm {
    match "architecture" = "vit_giant_patch14_224"
  }
}

variant vit_gigantic_patch14 = vit_auto(
  patch: 14,
  dim: 1664,
  depth: 48,
  heads: 16,
  mlp_ratio: 64 / 13
) {
  config timm {
    match "architecture" = "vit_gigantic_patch14_224"
  }
}
`,
  vit_pooled: `



variant vit_medium_patch16_gap = vit_auto(
  patch: 16,
  dim: 512,
  depth: 12,
  heads: 8,
  class_token: false,
  global_pool: avg,
  pooled_norm: false,
  qkv_bias: false,
  layer_scale: 1e-6
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_medium_patch16_gap_240",
      "vit_medium_patch16_gap_256",
      "vit_medium_patch16_gap_384"
  }
}

variant vit_betwixt_patch16_gap = vit_auto(
  patch: 16,
  dim: 640,
  depth: 12,
  heads: 10,
  class_token: false,
  global_pool: avg,
  pooled_norm: false,
  qkv_bias: false,
  layer_scale: 1e-6
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_betwixt_patch16_gap_256"
  }
}

variant vit_base_patch16_gap = vit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 16,
  class_token: false,
  global_pool: avg,
  pooled_norm: false
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_base_patch16_gap_224"
  }
}

variant vit_huge_patch14_gap = vit_auto(
  patch: 14,
  dim: 1280,
  depth: 32,
  heads: 16,
  class_token: false,
  global_pool: avg,
  pooled_norm: false
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_huge_patch14_gap_224"
  }
}

variant vit_huge_patch16_gap = vit_auto(
  patch: 16,
  dim: 1280,
  depth: 32,
  heads: 16,
  class_token: false,
  global_pool: avg,
  pooled_norm: false
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_huge_patch16_gap_448"
  }
}

variant vit_giant_patch16_gap = vit_auto(
  patch: 16,
  dim: 1408,
  depth: 40,
  heads: 16,
  mlp_ratio: 48 / 11,
  class_token: false,
  global_pool: avg,
  pooled_norm: false
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_giant_patch16_gap_224"
  }
}



variant vit_wee_patch16_reg1_gap = vit_auto(
  patch: 16,
  dim: 256,
  depth: 14,
  heads: 4,
  mlp_ratio: 5,
  class_token: false,
  global_pool: avg,
  registers: 1,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_wee_patch16_reg1_gap_256"
  }
}

variant vit_little_patch16_reg1_gap = vit_auto(
  patch: 16,
  dim: 320,
  depth: 14,
  heads: 5,
  mlp_ratio: 5.6,
  class_token: false,
  global_pool: avg,
  registers: 1,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_little_patch16_reg1_gap_256"
  }
}

variant vit_little_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 320,
  depth: 14,
  heads: 5,
  mlp_ratio: 5.6,
  class_token: false,
  global_pool: avg,
  registers: 4,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_little_patch16_reg4_gap_256"
  }
}

variant vit_medium_patch16_reg1_gap = vit_auto(
  patch: 16,
  dim: 512,
  depth: 12,
  heads: 8,
  class_token: false,
  global_pool: avg,
  registers: 1,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_medium_patch16_reg1_gap_256"
  }
}

variant vit_medium_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 512,
  depth: 12,
  heads: 8,
  class_token: false,
  global_pool: avg,
  registers: 4,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_medium_patch16_reg4_gap_256"
  }
}

variant vit_mediumd_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 512,
  depth: 20,
  heads: 8,
  class_token: false,
  global_pool: avg,
  registers: 4,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_mediumd_patch16_reg4_gap_256", "vit_mediumd_patch16_reg4_gap_384"
  }
}

variant vit_betwixt_patch16_reg1_gap = vit_auto(
  patch: 16,
  dim: 640,
  depth: 12,
  heads: 10,
  class_token: false,
  global_pool: avg,
  registers: 1,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_betwixt_patch16_reg1_gap_256"
  }
}

variant vit_betwixt_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 640,
  depth: 12,
  heads: 10,
  class_token: false,
  global_pool: avg,
  registers: 4,
  no_embed_class: true,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_betwixt_patch16_reg4_gap_256", "vit_betwixt_patch16_reg4_gap_384"
  }
}

variant vit_base_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  class_token: false,
  global_pool: avg,
  registers: 4,
  no_embed_class: true
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_base_patch16_reg4_gap_256"
  }
}

variant vit_so150m_patch16_reg4_gap = vit_auto(
  patch: 16,
  dim: 896,
  depth: 18,
  heads: 14,
  mlp_ratio: 2.572,
  class_token: false,
  global_pool: avg,
  pooled_norm: false,
  registers: 4
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_so150m_patch16_reg4_gap_256", "vit_so150m_patch16_reg4_gap_384"
  }
}

variant vit_so150m2_patch16_reg1_gap = vit_auto(
  patch: 16,
  dim: 832,
  depth: 21,
  heads: 13,
  mlp_ratio: 34 / 13,
  class_token: false,
  global_pool: avg,
  registers: 1,
  qkv_bias: false,
  layer_scale: 1e-5
) {
  preprocess = resize(image, bicubic), crop(image, even), normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_so150m2_patch16_reg1_gap_256",
      "vit_so150m2_patch16_reg1_gap_384",
      "vit_so150m2_patch16_reg1_gap_448"
  }
}
`,
  vit_sizes: `



variant vit_base_patch16_miil = vit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  qkv_bias: false
) {
  preprocess = resize(floor(image / 0.875), bilinear), crop(image, even), normalize(mean: 0, std: 1)
  config timm {
    match "architecture" = "vit_base_patch16_224_miil"
  }
}

variant vit_base_patch16_plus = vit_auto(
  patch: 16,
  dim: 896,
  depth: 12,
  heads: 14,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_base_patch16_plus_240"
  }
}

variant vit_base_patch32_plus = vit_auto(
  patch: 32,
  dim: 896,
  depth: 12,
  heads: 14,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_base_patch32_plus_256"
  }
}

variant vit_small_patch16_36x1 = vit_auto(
  patch: 16,
  dim: 384,
  depth: 36,
  heads: 6,
  layer_scale: 1e-5
) {
  preprocess = resize(floor(image / 0.9), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "vit_small_patch16_36x1_224"
  }
}



variant eva_large_patch14 = vit_auto(patch: 14, dim: 1024, depth: 24, heads: 16, global_pool: avg) {
  preprocess = resize(image, bicubic),
    crop(image, even),
    normalize(mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711])
  config timm {
    match "architecture" = "eva_large_patch14_196", "eva_large_patch14_336"
  }
}

variant flexivit_small = vit_auto(
  patch: 16,
  dim: 384,
  depth: 12,
  heads: 6,
  no_embed_class: true,
  position_filter: bilinear,
  position_antialias: false
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "flexivit_small"
  }
}

variant flexivit_base = vit_auto(
  patch: 16,
  dim: 768,
  depth: 12,
  heads: 12,
  no_embed_class: true,
  position_filter: bilinear,
  position_antialias: false
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "flexivit_base"
  }
}

variant flexivit_large = vit_auto(
  patch: 16,
  dim: 1024,
  depth: 24,
  heads: 16,
  no_embed_class: true,
  position_filter: bilinear,
  position_antialias: false
) {
  preprocess = resize(floor(image / 0.95), bicubic),
    crop(image, even),
    normalize(mean: 0.5, std: 0.5)
  config timm {
    match "architecture" = "flexivit_large"
  }
}
`,
  windows: `


function rounded_up(n: int, window: int) = ceil(n / window) * window


function windows(x: tensor, window: int) = rearrange(
  pad(
    x,
    [0, 0, 0, 0],
    [0, rounded_up(size(x, 1), window) - size(x, 1), rounded_up(size(x, 2), window) - size(x, 2), 0]
  ),
  "b (rows i) (columns j) d -> (b rows columns) (i j) d",
  i: window,
  j: window
)


function unwindowed(t: tensor, window: int, height: int, width: int) = rearrange(
  t,
  "(b rows columns) (i j) d -> b (rows i) (columns j) d",
  rows: ceil(height / window),
  columns: ceil(width / window),
  i: window,
  j: window
)[:, 0..height, 0..width]



function window_table(table: tensor, from: int, side: int, by: bicubic | spread) {
  numbers = rearrange(table, "(y x) h -> y x h", y: 2 * from - 1)
  if from == side {
    numbers
  } else {
    if by == spread {
      spread_table(numbers, 2 * from - 1, 2 * side - 1, spread)
    } else {
      rearrange(
        resize(rearrange(numbers, "y x h -> 1 h y x"), 2 * side - 1, mode: bicubic),
        "1 h y x -> y x h"
      )
    }
  }
}


function shifted_parts(length: int, window: int, shift: int) = table(
  i < length: (if i >= length - window { 1 } else { 0 }) + if i >= length - shift { 1 } else { 0 }
)


function shifted_mask(b: int, side: int, window: int, shift: int, far: float) {
  parts = shifted_parts(side, window, shift)
  rows = expand(parts[:, new], side, axis: 1)
  columns = expand(parts[new], side)
  part = windows(cast(3 * rows + columns, f32)[new, :, :, new], window)[:, :, 0]
  mask = far * (cast(part[:, :, new] == part[:, new], f32) - 1)
  rearrange(expand(mask[new], b), "b w n m -> (b w) 1 n m")
}



function to_windows(x: tensor, window: int, shift: int, pad_first: bool) {
  more = if pad_first { rounded_up(size(x, 1), window) - size(x, 1) } else { 0 }
  y = pad(x, [0, 0, 0, 0], [0, more, more, 0])
  windows(if shift > 0 { roll(y, [-shift, -shift], axes: [1, 2]) } else { y }, window)
}


function from_windows(t: tensor, window: int, shift: int, height: int, pad_first: bool) {
  side = if pad_first { rounded_up(height, window) } else { height }
  y = unwindowed(t, window, side, side)
  (if shift > 0 { roll(y, [shift, shift], axes: [1, 2]) } else { y })[:, 0..height, 0..height]
}
`,
};
