"use strict";
// Of four and more elements no plane has room for the hull: the picture stays, and the slider moves the progress and its sentence.

const placeOf = () => [null, null];
const drawMoment = () => undefined;
const drawFirst = () => Promise.resolve(showMoment(LAST));
