/** One full turn of the event loop: every promise that can settle without I/O has settled when this resolves. */
export const drainPromises = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/**
 * The same at a tenth of the cost, where no port does I/O: Node comes to its ticks when no microtask is left, if the tick was asked
 * for by a microtask; one that a timer's callback asked for goes before them. It starves the event loop for as long as it is called
 * again and again.
 */
export const drainMicrotasks = (): Promise<void> =>
  new Promise(resolve => queueMicrotask(() => process.nextTick(resolve)))
