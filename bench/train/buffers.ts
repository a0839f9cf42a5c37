/** GPU buffers counted where they are made: bytes that are alive, and the most that were. */

export interface Buffers {
  readonly alive: number;
  readonly most: number;
}

/** The same GPU, whose adapter's devices count what `createBuffer` makes until it is destroyed. What the driver takes beside them is not seen. */
export function counted<T extends { readonly adapter: GPUAdapter }>(opened: T): T & { readonly buffers: Buffers } {
  const buffers = { alive: 0, most: 0 };
  const { adapter } = opened;
  const request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await request(descriptor);
    const create = device.createBuffer.bind(device);
    device.createBuffer = (wanted) => {
      const buffer = create(wanted);
      buffers.alive += wanted.size;
      buffers.most = Math.max(buffers.most, buffers.alive);
      const destroy = buffer.destroy.bind(buffer);
      let gone = false;
      buffer.destroy = () => {
        if (!gone) buffers.alive -= wanted.size;
        gone = true;
        return destroy();
      };
      return buffer;
    };
    return device;
  };
  return { ...opened, buffers };
}
