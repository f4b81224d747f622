/** Flow of chunks between the layers of a bundle. Whoever stops early closes everything above. */

/**
 * Runs `work` on each input with at most `inFlight` of them under way; results come in order of the inputs.
 * A result that nobody takes any more may fail without notice.
 */
export async function* overlapped<A, B>(
  inputs: AsyncIterable<A>,
  inFlight: number,
  work: (input: A) => Promise<B>,
): AsyncGenerator<B> {
  const running: Promise<B>[] = [];
  for await (const input of inputs) {
    const result = work(input);
    result.catch(() => undefined);
    running.push(result);
    if (running.length === inFlight) yield await running.shift()!;
  }
  for (const result of running) yield await result;
}

/** Sends chunks through a web transform, such as a compressor. An error of the source comes out unchanged. */
export async function* through(
  chunks: AsyncIterable<Uint8Array>,
  transform: { readable: ReadableStream<Uint8Array>; writable: WritableStream },
): AsyncGenerator<Uint8Array> {
  yield* toStream(chunks).pipeThrough(transform);
}

export function toStream(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next = await source.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await source.return?.();
    },
  });
}

interface Peeked {
  /** The first `length` bytes, or all of a shorter source. */
  head: Uint8Array;
  /** Everything, from the first byte. Its `return` closes the source, also before anything was read. */
  all: AsyncIterableIterator<Uint8Array> & Required<Pick<AsyncIterator<Uint8Array>, "return">>;
}

/** Looks at the first `length` bytes of `chunks`. */
export async function peek(chunks: AsyncIterable<Uint8Array>, length: number): Promise<Peeked> {
  const source = chunks[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  for (let size = 0; size < length; size += held.at(-1)!.length) {
    const next = await source.next();
    if (next.done) break;
    held.push(next.value);
  }
  const head = Buffer.concat(held).subarray(0, length);
  const close = async (): Promise<IteratorResult<Uint8Array>> => {
    held.length = 0;
    await source.return?.();
    return { done: true, value: undefined };
  };
  const all: Peeked["all"] = {
    next: async () => (held.length > 0 ? { done: false, value: held.shift()! } : source.next()),
    return: close,
    [Symbol.asyncIterator]: () => all,
  };
  return { head, all };
}
