"""The tables of plays, pitches, runners and scoring plays of a live feed, read from the JSON in plain Python."""

from __future__ import annotations

from collections.abc import Iterator

from feed_json import Json, Row, at, moment, real, text, three, two


def play_head(play: Json) -> Row:
    """Return what plays, pitches and runners share: the number of the play and its inning."""
    about = play["about"]
    return {"at_bat_index": play["atBatIndex"], "inning": about["inning"], "half_inning": about["halfInning"]}


def play_result(play: Json) -> Row:
    """Return what plays and scoring plays share."""
    result, about, matchup = play["result"], play["about"], play["matchup"]
    return play_head(play) | {
        "event": result.get("event"), "event_type": result.get("eventType"), "description": result.get("description"),
        "rbi": result.get("rbi", 0), "away_score": result.get("awayScore"), "home_score": result.get("homeScore"),
        "is_scoring_play": about.get("isScoringPlay"), "start_time": moment(about.get("startTime")),
        "end_time": moment(about.get("endTime")), "captivating_index": about.get("captivatingIndex"),
        "outs": play["count"]["outs"], "batter_id": matchup["batter"]["id"], "pitcher_id": matchup["pitcher"]["id"],
        "batter_name": matchup["batter"]["fullName"], "pitcher_name": matchup["pitcher"]["fullName"],
    }  # fmt: skip


def plays(doc: Json) -> Iterator[Row]:
    """Yield a row a play."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        about, matchup = play["about"], play["matchup"]
        pitches = [e for e in play["playEvents"] if e["isPitch"]]
        row = play_result(play) | {
            "play_id": pitches[-1].get("playId") if pitches else None, "is_top_inning": about.get("isTopInning"),
            "result_type": play["result"].get("type"), "is_out": play["result"].get("isOut"),
            "play_end_time": moment(play.get("playEndTime")), "is_complete": about.get("isComplete"),
            "has_review": about.get("hasReview"), "has_out": about.get("hasOut"), "balls": play["count"]["balls"],
            "strikes": play["count"]["strikes"], "bat_side_code": matchup["batSide"]["code"],
            "bat_side_description": matchup["batSide"]["description"],
            "pitch_hand_code": matchup["pitchHand"]["code"],
            "pitch_hand_description": matchup["pitchHand"]["description"],
            "batter_split": at(matchup, "splits.batter"), "pitcher_split": at(matchup, "splits.pitcher"),
            "men_on_base": at(matchup, "splits.menOnBase"),
        }  # fmt: skip
        for base in ("First", "Second", "Third"):
            row[f"post_on_{base.lower()}_id"] = at(matchup, f"postOn{base}.id")
            row[f"post_on_{base.lower()}_name"] = at(matchup, f"postOn{base}.fullName")
        yield row


def pitch_events(doc: Json) -> Iterator[Row]:
    """Yield a row a pitch."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        matchup = play["matchup"]
        for event in play["playEvents"]:
            if event["isPitch"] is not True:
                continue
            details, pitch, hit = event["details"], event.get("pitchData") or {}, event.get("hitData") or {}
            place, breaks = pitch.get("coordinates") or {}, pitch.get("breaks") or {}
            row = play_head(play) | {
                "event_index": event["index"], "play_id": event.get("playId"), "event_kind": event["type"],
                "pitch_number": event.get("pitchNumber"), "batter_id": matchup["batter"]["id"],
                "pitcher_id": matchup["pitcher"]["id"], "bat_side_code": matchup["batSide"]["code"],
                "pitch_hand_code": matchup["pitchHand"]["code"], "pitch_type": at(details, "type.code"),
                "pitch_description": at(details, "type.description"), "pitch_call_code": at(details, "call.code"),
                "pitch_call": at(details, "call.description"), "result_code": details.get("code"),
                "description": details.get("description"), "is_in_play": details.get("isInPlay"),
                "is_strike": details.get("isStrike"), "is_ball": details.get("isBall"), "is_out": details.get("isOut"),
                "has_review": details.get("hasReview"), "runner_going": details.get("runnerGoing"),
                "disengagement_number": details.get("disengagementNum"), "ball_color": details.get("ballColor"),
                "trail_color": details.get("trailColor"), "start_time": moment(event.get("startTime")),
                "end_time": moment(event.get("endTime")), "pfx_id": event.get("pfxId"), "zone": pitch.get("zone"),
                "type_confidence": three(pitch.get("typeConfidence")), "plate_time": real(pitch.get("plateTime")),
                "extension": real(pitch.get("extension")), "nasty_factor": two(pitch.get("nastyFactor")),
                "coordinates_x": two(place.get("x")), "coordinates_y": two(place.get("y")),
                "plate_x": real(place.get("pX")), "plate_z": real(place.get("pZ")), "pfx_x": real(place.get("pfxX")),
                "pfx_z": real(place.get("pfxZ")), "break_y": two(breaks.get("breakY")),
                "break_angle": two(breaks.get("breakAngle")), "break_length": two(breaks.get("breakLength")),
                "break_vertical": two(breaks.get("breakVertical")),
                "break_vertical_induced": two(breaks.get("breakVerticalInduced")),
                "break_horizontal": two(breaks.get("breakHorizontal")), "spin_rate": three(breaks.get("spinRate")),
                "spin_direction": three(breaks.get("spinDirection")), "launch_speed": two(hit.get("launchSpeed")),
                "launch_angle": two(hit.get("launchAngle")), "total_distance": two(hit.get("totalDistance")),
                "trajectory": hit.get("trajectory"), "hardness": hit.get("hardness"),
                "hit_location": text(hit.get("location")), "hit_coordinate_x": two(at(hit, "coordinates.coordX")),
                "hit_coordinate_y": two(at(hit, "coordinates.coordY")),
            }  # fmt: skip
            row |= {key: at(event, f"count.{key}") for key in ("balls", "strikes", "outs")}
            row |= {key: two(pitch.get(key[:-6] + "Speed")) for key in ("start_speed", "end_speed")}
            for column in ("top", "bottom", "width", "depth"):
                row[f"strike_zone_{column}"] = two(pitch.get(f"strikeZone{column.capitalize()}"))
            for axis in "xyz":
                row[f"release_{axis}"] = real(place.get(f"{axis}0"))
                row[f"velocity_{axis}"] = real(place.get(f"v{axis.upper()}0"))
                row[f"acceleration_{axis}"] = real(place.get(f"a{axis.upper()}"))
            yield row


def runners(doc: Json) -> Iterator[Row]:
    """Yield a row a movement of a runner."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        for index, runner in enumerate(play["runners"]):
            move, details = runner["movement"], runner["details"]
            yield play_head(play) | {
                "runner_index": index, "play_index": details.get("playIndex"), "runner_id": details["runner"]["id"],
                "runner_name": details["runner"]["fullName"], "origin_base": move.get("originBase"),
                "start_base": move.get("start"), "end_base": move.get("end"), "out_base": move.get("outBase"),
                "is_out": move.get("isOut"), "out_number": move.get("outNumber"), "event": details.get("event"),
                "event_type": details.get("eventType"), "movement_reason": details.get("movementReason"),
                "responsible_pitcher_id": at(details, "responsiblePitcher.id"),
                "is_scoring_event": details.get("isScoringEvent"), "is_rbi": details.get("rbi"),
                "is_earned": details.get("earned"), "is_team_unearned": details.get("teamUnearned"),
            }  # fmt: skip


def scoring_plays(doc: Json) -> Iterator[Row]:
    """Yield a row an entry of the list of scoring plays."""
    every = doc["liveData"]["plays"]
    for index in every["scoringPlays"]:
        yield play_result(every["allPlays"][index])
