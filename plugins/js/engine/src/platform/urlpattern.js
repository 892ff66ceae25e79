// URLPattern, from the vendored polyfill.

import { URLPattern } from "fazt:vendor/urlpattern";

export function init() { return { URLPattern }; }
