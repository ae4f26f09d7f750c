/**
 * The one file that knows the foreign function package. Importing it loads a native binary, which a machine may lack:
 * import it dynamically, inside a try.
 */
import koffi from 'koffi'

/** Other makers' libraries count on a thread's usual stack; the package's own 128 KiB for calls on threads is far below it. */
koffi.config({ async_stack_size: 2 << 20 })

export { koffi }
