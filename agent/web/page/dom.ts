/** The one file that knows preact (esbuild adds its JSX runtime by itself). */
export { type ComponentChildren, createContext, render } from 'preact'
export { useContext, useEffect, useRef, useState } from 'preact/hooks'
