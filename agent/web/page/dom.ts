/** The one file that knows preact (esbuild adds its JSX runtime by itself). */
export { render } from 'preact'
export { useEffect, useRef, useState } from 'preact/hooks'
