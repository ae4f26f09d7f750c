/** One full turn of the event loop: every promise that can settle without I/O has settled when this resolves. */
export const drainPromises = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
