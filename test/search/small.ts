/** A model of a few parameters whose layers are pruned, with an adapter on them. */
export const spec = ({ prune, epochs = 4, more = '' }: { prune: string; epochs?: number; more?: string }) => ({
  text: `use std
model Small {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 16, depth: 2, heads: 2)
  head = classify(base, classes: 2)
  adapt base.blocks[*].mlp.fc1 with lora(rank: 2)
  prune base.blocks[*].{attn.qkv, mlp.*} with ${prune}
  tune head
}
train Small {
  optimizer = adamw(lr: 1e-2)
  schedule = cosine(epochs: ${epochs})
  batch = 8
  seed = 3
  keep = 5
  ${more}
}`,
  path: 'small.peft',
});
