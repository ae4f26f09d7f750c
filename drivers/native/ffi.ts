/**
 * The one file that knows the foreign function package. Importing it loads a native binary, which a machine may lack:
 * import it dynamically, inside a try.
 */
export { default as koffi } from 'koffi'
