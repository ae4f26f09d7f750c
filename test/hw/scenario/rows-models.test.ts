import { showRows } from './shown.ts'

showRows('rows-models').run()
